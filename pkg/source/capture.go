package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/gitignore"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// maxContent is how much a folder may hold. What git ignores does not count.
const maxContent = 512 << 20

// captured is the content of a folder at one moment.
type captured struct {
	at        string
	rules     *checkout
	namesOnly bool
	root      *node
	files     []file
	folders   []string
	size      int64
}

// file is what a file's place in the content's identity is made of.
type file struct {
	path, hash string
	kind       fs.FileMode
}

// folder reads one folder; ignored are the patterns in force above it.
func (c *captured) folder(ctx context.Context, path string, ignored []gitignore.Pattern) (*node, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	full := filepath.Join(c.at, filepath.FromSlash(path))
	entries, err := os.ReadDir(full)
	if err != nil {
		return nil, err
	}
	c.folders = append(c.folders, full)
	n := &node{name: ".", mode: fs.ModeDir | 0o755}
	if c.rules != nil {
		ignored = append(slices.Clip(ignored), c.rules.patterns(full, path)...)
	}
	for _, e := range entries {
		below := e.Name()
		if path != "" {
			below = path + "/" + below
		}
		if e.Name() == ".git" || c.rules.ignores(ignored, below, e.IsDir()) {
			continue
		}
		kid, err := c.entry(ctx, below, e, ignored)
		if err != nil {
			return nil, err
		}
		if kid != nil {
			kid.name = e.Name()
			n.kids = append(n.kids, kid)
		}
	}
	n.kids, err = ordered(n.kids, path)
	return n, err
}

func (c *captured) entry(ctx context.Context, path string, e fs.DirEntry, ignored []gitignore.Pattern) (*node, error) {
	switch {
	case e.IsDir() && c.rules.submodule(path):
		trouble := gitops.Errorf(gitops.SourceInvalid, "is a submodule; submodules are not followed")
		trouble.Try = "vendor its content into the repository"
		return &node{mode: fs.ModeDir | fs.ModeIrregular | 0o755, trouble: trouble}, nil
	case e.IsDir():
		return c.unreadable(path)(c.folder(ctx, path, ignored))
	case c.namesOnly:
		return nil, nil //nolint:nilnil // a file has no place in a list of folders
	case e.Type()&fs.ModeSymlink != 0:
		return c.link(path)
	case e.Type().IsRegular():
		return c.unreadable(path)(c.regular(path))
	}
	// Sockets, devices and pipes are in no repository.
	return nil, nil //nolint:nilnil // nothing to capture
}

// unreadable turns what may not be read into an entry that says so to whoever reads it.
func (c *captured) unreadable(path string) func(*node, error) (*node, error) {
	return func(n *node, err error) (*node, error) {
		if !errors.Is(err, fs.ErrPermission) {
			return n, err
		}
		c.files = append(c.files, file{path: path, kind: fs.ModeIrregular})
		return &node{mode: fs.ModeIrregular, trouble: gitops.Errorf(gitops.SourceInvalid, "cannot be read: %w", fs.ErrPermission)}, nil
	}
}

func (c *captured) link(path string) (*node, error) {
	target, err := os.Readlink(filepath.Join(c.at, filepath.FromSlash(path)))
	if err != nil {
		return nil, err
	}
	target = filepath.ToSlash(target)
	n := &node{mode: fs.ModeSymlink | 0o777, target: target, size: int64(len(target))}
	n.hash = plumbing.ComputeHash(plumbing.BlobObject, []byte(target)).String()
	c.files = append(c.files, file{path: path, hash: n.hash, kind: fs.ModeSymlink})
	return n, nil
}

func (c *captured) regular(path string) (*node, error) {
	f, err := os.Open(filepath.Join(c.at, filepath.FromSlash(path)))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(f, maxContent+1-c.size))
	if err != nil {
		return nil, err
	}
	if c.size += int64(len(body)); c.size > maxContent || len(c.files) > maxFiles {
		e := invalid("", "reading %s: the folder holds more than %d MiB or %d files", c.at, maxContent>>20, maxFiles)
		e.Try = "name the repository's own folder with -C, and list what does not belong to it in .gitignore"
		return nil, e
	}
	n := &node{mode: 0o644, size: int64(len(body))}
	if info, err := f.Stat(); err == nil && info.Mode()&0o111 != 0 {
		n.mode = 0o755
	}
	n.open = func() (io.Reader, error) { return bytes.NewReader(body), nil }
	n.hash = plumbing.ComputeHash(plumbing.BlobObject, body).String()
	c.files = append(c.files, file{path: path, hash: n.hash})
	return n, nil
}
