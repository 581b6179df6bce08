package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Limits that no fleet comes near. Shared tree objects let a small pack name more files than memory has room for.
const (
	maxFiles  = 1_000_000
	maxTarget = 4096
)

// thaw copies a store so that a fetch may add to it; the objects themselves are shared and never change.
func thaw(s *memory.Storage) *memory.Storage {
	out := memory.NewStorage()
	out.Objects = maps.Clone(s.Objects)
	out.Commits, out.Trees = maps.Clone(s.Commits), maps.Clone(s.Trees)
	out.Blobs, out.Tags = maps.Clone(s.Blobs), maps.Clone(s.Tags)
	return out
}

// freeze reads the tree of a commit and keeps exactly its objects: what older revisions had is dropped, so that a process that
// follows a branch for a year holds one revision and whatever snapshots are still in use.
func freeze(from *memory.Storage, at plumbing.Hash) (*frozen, error) {
	commit, err := object.GetCommit(from, at)
	if err != nil {
		return nil, fmt.Errorf("reading commit %s: %w", at, err)
	}
	r := &reader{from: from, kept: memory.NewStorage(), folders: map[plumbing.Hash][]*node{}, weight: map[plumbing.Hash]int{}}
	if err := r.keep(plumbing.CommitObject, at); err != nil {
		return nil, err
	}
	kids, _, err := r.folder(commit.TreeHash, "")
	if err != nil {
		return nil, err
	}
	subject, _, _ := strings.Cut(strings.TrimSpace(commit.Message), "\n")
	return &frozen{commit: at, store: r.kept, snapshot: gitops.Snapshot{
		Revision: gitops.Revision{
			Hash: at.String(), Subject: strings.ToValidUTF8(strings.TrimSpace(subject), "�"), Author: strings.ToValidUTF8(commit.Author.Name, "�"), At: commit.Committer.When.UTC(),
		},
		Files: &tree{root: &node{name: ".", mode: fs.ModeDir | 0o755, kids: kids}, at: commit.Committer.When.UTC()},
	}}, nil
}

// reader turns git trees into nodes. Equal trees are read once.
type reader struct {
	from    storer.EncodedObjectStorer
	kept    *memory.Storage
	folders map[plumbing.Hash][]*node
	// weight counts the files below a folder, shared trees each time they appear.
	weight map[plumbing.Hash]int
}

func (r *reader) keep(kind plumbing.ObjectType, h plumbing.Hash) error {
	if _, ok := r.kept.Objects[h]; ok {
		return nil
	}
	o, err := r.from.EncodedObject(kind, h)
	if err != nil {
		return fmt.Errorf("reading %s %s: %w", kind, h, err)
	}
	_, err = r.kept.SetEncodedObject(o)
	return err
}

func (r *reader) folder(h plumbing.Hash, path string) ([]*node, int, error) {
	if kids, ok := r.folders[h]; ok {
		return kids, r.weight[h], nil
	}
	if err := r.keep(plumbing.TreeObject, h); err != nil {
		return nil, 0, err
	}
	t, err := object.GetTree(r.kept, h)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the folder %q: %w", path, err)
	}
	kids := make([]*node, 0, len(t.Entries))
	files := 0
	for _, e := range t.Entries {
		if e.Name == "" || e.Name == "." || e.Name == ".." || strings.Contains(e.Name, "/") {
			return nil, 0, invalid(path, "the folder holds an entry named %q", e.Name)
		}
		n, below, err := r.entry(e, strings.TrimPrefix(path+"/"+e.Name, "/"))
		if err != nil {
			return nil, 0, err
		}
		if files += below; files > maxFiles {
			return nil, 0, invalid(path, "the repository has more than %d files", maxFiles)
		}
		kids = append(kids, n)
	}
	if kids, err = ordered(kids, path); err != nil {
		return nil, 0, err
	}
	r.folders[h], r.weight[h] = kids, files
	return kids, files, nil
}

// ordered sorts entries by name: git orders a folder as if its name ended in a slash.
func ordered(kids []*node, path string) ([]*node, error) {
	slices.SortFunc(kids, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(kids); i++ {
		if kids[i].name == kids[i-1].name {
			return nil, invalid(path, "the folder holds two entries named %q", kids[i].name)
		}
	}
	return kids, nil
}

// entry makes the node of one tree entry and counts the files it stands for.
func (r *reader) entry(e object.TreeEntry, path string) (*node, int, error) {
	switch e.Mode {
	case filemode.Dir:
		kids, files, err := r.folder(e.Hash, path)
		return &node{name: e.Name, mode: fs.ModeDir | 0o755, kids: kids}, files + 1, err
	case filemode.Submodule:
		trouble := gitops.Errorf(gitops.SourceInvalid, "is a submodule; submodules are not followed")
		trouble.Try = "vendor its content into the repository"
		return &node{name: e.Name, mode: fs.ModeDir | fs.ModeIrregular | 0o755, trouble: trouble}, 1, nil
	case filemode.Regular, filemode.Deprecated, filemode.Executable, filemode.Symlink:
	default:
		return nil, 0, invalid(path, "has the unknown git mode %s", e.Mode)
	}
	if err := r.keep(plumbing.BlobObject, e.Hash); err != nil {
		return nil, 0, err
	}
	o := r.kept.Objects[e.Hash]
	n := &node{name: e.Name, mode: 0o644, size: o.Size(), hash: e.Hash.String(), open: content(o)}
	if e.Mode == filemode.Symlink {
		return link(n, path)
	}
	if e.Mode == filemode.Executable {
		n.mode = 0o755
	}
	return n, 1, nil
}

func link(n *node, path string) (*node, int, error) {
	n.mode = fs.ModeSymlink | 0o777
	if n.size > maxTarget {
		return nil, 0, invalid(path, "the symlink's target is longer than %d bytes", maxTarget)
	}
	body, err := n.open()
	if err != nil {
		return nil, 0, err
	}
	target, err := io.ReadAll(body)
	if err != nil {
		return nil, 0, err
	}
	n.target, n.open = string(target), nil
	return n, 1, nil
}

// content opens the content of an object in memory.
func content(o plumbing.EncodedObject) func() (io.Reader, error) {
	return func() (io.Reader, error) {
		r, err := o.Reader()
		if err != nil {
			return nil, errors.New("the object cannot be read")
		}
		return r, nil
	}
}
