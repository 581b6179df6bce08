package source

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// tree is an immutable fs.FS over nodes. Reading follows symlinks inside the tree; ReadDir, Lstat and ReadLink tell about the
// links themselves. A symlink that leaves the tree, an absolute one, a loop, and a submodule are errors of whoever reads
// through them (SourceInvalid, with the file), so that one of them in a corner of the repository hurts nobody else.
type tree struct {
	root *node
	at   time.Time
}

// node is one entry. Folders share their kids when git shares the tree object.
type node struct {
	name string
	mode fs.FileMode
	size int64
	// hash is git's id of the content of files and symlinks.
	hash   string
	target string
	open   func() (io.Reader, error)
	kids   []*node
	// trouble says why the entry cannot be read; it lacks the path.
	trouble *gitops.Error
}

func (n *node) kid(name string) *node {
	i, ok := slices.BinarySearchFunc(n.kids, name, func(k *node, name string) int { return strings.Compare(k.name, name) })
	if !ok {
		return nil
	}
	return n.kids[i]
}

// maxLinks is how many symlinks one lookup may follow, as Linux has it.
const maxLinks = 40

// find resolves a name. With last false, a symlink at the very end is not followed.
func (t *tree) find(op, name string, last bool) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	w := walk{at: []*node{t.root}, todo: strings.Split(name, "/"), last: last}
	for len(w.todo) > 0 {
		if err := w.step(); err != nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: err}
		}
	}
	return w.here(), nil
}

// walk is a lookup under way.
type walk struct {
	at     []*node
	walked []string
	todo   []string
	last   bool
	links  int
	// pending counts the next steps that a link brought in; via is the link that the name itself went through, and target
	// is what it says.
	pending     int
	via, target string
}

func (w *walk) here() *node { return w.at[len(w.at)-1] }

func (w *walk) step() error {
	step := w.todo[0]
	w.todo = w.todo[1:]
	linked := w.pending > 0
	w.pending = max(0, w.pending-1)
	switch step {
	case ".", "":
		return nil
	case "..":
		// Only a link has this step, and links on the way may have led further up than its text tells.
		if len(w.walked) == 0 {
			return invalid(w.via, "the symlink to %q leaves the repository", w.target)
		}
		w.at, w.walked = w.at[:len(w.at)-1], w.walked[:len(w.walked)-1]
		return nil
	}
	next := w.here().kid(step)
	switch {
	case next == nil && linked:
		return invalid(w.via, "the symlink leads to %q: %w", w.target, fs.ErrNotExist)
	case next == nil:
		return fs.ErrNotExist
	}
	file := path.Join(append(slices.Clone(w.walked), step)...)
	switch {
	case next.trouble != nil:
		trouble := *next.trouble
		return trouble.At(gitops.Origin{Position: gitops.Position{File: file}})
	case next.mode&fs.ModeSymlink != 0 && (w.last || len(w.todo) > 0):
		return w.follow(next, file)
	case len(w.todo) > 0 && !next.mode.IsDir():
		return fs.ErrNotExist
	}
	w.at, w.walked = append(w.at, next), append(w.walked, step)
	return nil
}

// follow puts a link's steps before those that are left.
func (w *walk) follow(link *node, file string) error {
	if w.links++; w.links > maxLinks {
		return invalid(file, "the symlink leads in a circle")
	}
	if err := inside(link.target, len(w.walked)); err != nil {
		return invalid(file, "the symlink to %q %w", link.target, err)
	}
	if w.pending == 0 {
		w.via, w.target = file, link.target
	}
	steps := strings.Split(link.target, "/")
	w.todo, w.pending = append(steps, w.todo...), w.pending+len(steps)
	return nil
}

// inside refuses targets that are absolute or climb above the root from a folder at the given depth.
func inside(target string, depth int) error {
	if target == "" || strings.HasPrefix(target, "/") || strings.Contains(target, "\\") {
		return errors.New("is not a relative path")
	}
	for _, step := range strings.Split(target, "/") {
		switch step {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return errors.New("leaves the repository")
			}
		default:
			depth++
		}
	}
	return nil
}

// Open implements fs.FS.
func (t *tree) Open(name string) (fs.File, error) {
	n, err := t.find("open", name, true)
	if err != nil {
		return nil, err
	}
	info := entry{node: n, name: path.Base(name), at: t.at}
	if n.mode.IsDir() {
		return &folderHandle{info: info, path: name, rest: t.entries(n)}, nil
	}
	content, err := n.open()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &fileHandle{Reader: content, info: info}, nil
}

// ReadFile implements fs.ReadFileFS.
func (t *tree) ReadFile(name string) ([]byte, error) {
	n, err := t.find("open", name, true)
	if err != nil {
		return nil, err
	}
	if n.mode.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is a directory")}
	}
	content, err := n.open()
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	body := make([]byte, n.size)
	if _, err := io.ReadFull(content, body); err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return body, nil
}

// ReadDir implements fs.ReadDirFS.
func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("open", name, true)
	if err != nil {
		return nil, err
	}
	if !n.mode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	return t.entries(n), nil
}

func (t *tree) entries(n *node) []fs.DirEntry {
	out := make([]fs.DirEntry, 0, len(n.kids))
	for _, k := range n.kids {
		out = append(out, fs.FileInfoToDirEntry(entry{node: k, name: k.name, at: t.at}))
	}
	return out
}

// Stat implements fs.StatFS.
func (t *tree) Stat(name string) (fs.FileInfo, error) {
	n, err := t.find("stat", name, true)
	if err != nil {
		return nil, err
	}
	return entry{node: n, name: path.Base(name), at: t.at}, nil
}

// Lstat implements fs.ReadLinkFS.
func (t *tree) Lstat(name string) (fs.FileInfo, error) {
	n, err := t.find("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return entry{node: n, name: path.Base(name), at: t.at}, nil
}

// ReadLink implements fs.ReadLinkFS.
func (t *tree) ReadLink(name string) (string, error) {
	n, err := t.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if n.mode&fs.ModeSymlink == 0 {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return n.target, nil
}

// Hash gives git's id of a file's content without reading it, so that caches need not hash again. It follows symlinks.
func (t *tree) Hash(name string) (string, error) {
	n, err := t.find("open", name, true)
	if err != nil {
		return "", err
	}
	return n.hash, nil
}

// entry is a node under the name it was asked for.
type entry struct {
	*node
	name string
	at   time.Time
}

func (e entry) Name() string       { return e.name }
func (e entry) Size() int64        { return e.size }
func (e entry) Mode() fs.FileMode  { return e.mode }
func (e entry) ModTime() time.Time { return e.at }
func (e entry) IsDir() bool        { return e.mode.IsDir() }
func (e entry) Sys() any           { return nil }

type fileHandle struct {
	io.Reader
	info entry
}

func (f *fileHandle) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *fileHandle) Close() error               { return nil }

type folderHandle struct {
	info entry
	path string
	rest []fs.DirEntry
}

func (f *folderHandle) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *folderHandle) Close() error               { return nil }

func (f *folderHandle) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.path, Err: errors.New("is a directory")}
}

// ReadDir implements fs.ReadDirFile.
func (f *folderHandle) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(f.rest)
	} else if len(f.rest) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(f.rest))
	out := f.rest[:n:n]
	f.rest = f.rest[n:]
	return out, nil
}
