package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// local is a repository on this machine. Its objects are read directly: no git binary and no protocol is needed. They are
// copied, because the repository may be repacked or garbage-collected while a snapshot is in use.
type local struct{ path string }

func (l local) connect(context.Context) (exchange, error) {
	repository, err := openRepository(l.path)
	if err != nil {
		return nil, err
	}
	return localExchange{path: l.path, from: repository.Storer}, nil
}

func openRepository(path string) (*gogit.Repository, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, cause(err)
	}
	repository, err := gogit.PlainOpenWithOptions(path, &gogit.PlainOpenOptions{EnableDotGitCommonDir: true})
	switch {
	case errors.Is(err, gogit.ErrRepositoryNotExists):
		return nil, gitops.Errorf(gitops.SourceInvalid, "the folder is no git repository")
	case err != nil:
		return nil, gitops.Errorf(gitops.SourceInvalid, "the repository cannot be read: %w", err)
	}
	return repository, nil
}

// watch follows the files that references live in.
func (l local) watch(ctx context.Context, nudge func()) bool {
	home, common := gitFolders(l.path)
	if home == "" {
		return false
	}
	w := watcher{
		folders: func() ([]string, error) {
			return append(below(filepath.Join(common, "refs")), home, common), nil
		},
		relevant: func(path string) bool { return movesReferences(path, home, common) },
		nudge:    nudge,
	}
	return w.run(ctx) == nil
}

// gitFolders finds the folder with HEAD and the one with the references, which differ in a linked worktree
// (https://git-scm.com/docs/gitrepository-layout).
func gitFolders(path string) (home, common string) {
	if bare(path) {
		return path, path
	}
	home = filepath.Join(path, ".git")
	info, err := os.Stat(home)
	if err != nil {
		return "", ""
	}
	if !info.IsDir() {
		body, err := os.ReadFile(home)
		if err != nil {
			return "", ""
		}
		home = relativeTo(path, strings.TrimSpace(strings.TrimPrefix(string(body), "gitdir:")))
	}
	body, err := os.ReadFile(filepath.Join(home, "commondir")) //nolint:gosec // git's own file says where its folder is
	if err != nil {
		return home, home
	}
	return home, relativeTo(home, strings.TrimSpace(string(body)))
}

// worktree is the closest folder upwards with a .git, or the folder itself.
func worktree(path string) string {
	for at := path; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return path
		}
	}
}

func relativeTo(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// movesReferences reports whether a file under a git folder decides where a reference points.
func movesReferences(path, home, common string) bool {
	if strings.HasSuffix(path, ".lock") {
		return false
	}
	return path == filepath.Join(home, "HEAD") || path == filepath.Join(common, "packed-refs") ||
		strings.HasPrefix(path, filepath.Join(common, "refs")+string(filepath.Separator))
}

// below lists a folder and all folders under it, as far as they can be read.
func below(folder string) []string {
	var out []string
	_ = filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			out = append(out, path)
		}
		return nil
	})
	return out
}

// localExchange reads one repository.
type localExchange struct {
	path string
	from storerWithReferences
}

type storerWithReferences interface {
	storer.EncodedObjectStorer
	storer.ReferenceStorer
}

func (x localExchange) close() {}

func (x localExchange) references(context.Context) (references, error) {
	out := references{at: map[string]plumbing.Hash{}, peeled: map[string]plumbing.Hash{}}
	all, err := x.from.IterReferences()
	if err != nil {
		return out, fmt.Errorf("listing references: %w", err)
	}
	err = all.ForEach(func(r *plumbing.Reference) error {
		name := r.Name().String()
		if r.Type() == plumbing.HashReference && strings.HasPrefix(name, "refs/") {
			out.at[name] = r.Hash()
			if at := peel(x.from, r.Hash()); at != r.Hash() {
				out.peeled[name] = at
			}
		}
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("listing references: %w", err)
	}
	if head, err := x.from.Reference(plumbing.HEAD); err == nil {
		if head.Type() == plumbing.SymbolicReference {
			out.head = head.Target().String()
		} else {
			out.headAt = head.Hash()
		}
	}
	return out, nil
}

// peel follows annotated tags to what they tag.
func peel(from storer.EncodedObjectStorer, h plumbing.Hash) plumbing.Hash {
	for {
		tag, err := object.GetTag(from, h)
		if err != nil {
			return h
		}
		h = tag.Target
	}
}

func (x localExchange) objects(ctx context.Context, c choice, _ plumbing.Hash, into *memory.Storage) error {
	if x.from.HasEncodedObject(c.commit) != nil {
		return gitops.Errorf(gitops.SourceInvalid, "resolving %q: the repository holds no such commit", c.commit)
	}
	if err := copyObject(x.from, into, plumbing.CommitObject, c.commit); err != nil {
		return err
	}
	commit, err := object.GetCommit(into, c.commit)
	if err != nil {
		return err
	}
	return copyTree(ctx, x.from, into, commit.TreeHash)
}

// copyTree copies a folder and all that is below it. A folder that is there already is there whole: its content was copied
// before it was.
func copyTree(ctx context.Context, from storer.EncodedObjectStorer, into *memory.Storage, h plumbing.Hash) error {
	if into.HasEncodedObject(h) == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	t, err := object.GetTree(from, h)
	if err != nil {
		return fmt.Errorf("reading tree %s: %w", h, err)
	}
	for _, e := range t.Entries {
		switch e.Mode {
		case filemode.Dir:
			err = copyTree(ctx, from, into, e.Hash)
		case filemode.Submodule:
		default:
			err = copyObject(from, into, plumbing.BlobObject, e.Hash)
		}
		if err != nil {
			return err
		}
	}
	return copyObject(from, into, plumbing.TreeObject, h)
}

func copyObject(from storer.EncodedObjectStorer, into *memory.Storage, kind plumbing.ObjectType, h plumbing.Hash) error {
	if into.HasEncodedObject(h) == nil {
		return nil
	}
	o, err := from.EncodedObject(kind, h)
	if err != nil {
		return fmt.Errorf("reading %s %s: %w", kind, h, err)
	}
	body, err := o.Reader()
	if err != nil {
		return fmt.Errorf("reading %s %s: %w", kind, h, err)
	}
	defer body.Close() //nolint:errcheck // read only
	kept := into.NewEncodedObject()
	kept.SetType(kind)
	writer, err := kept.Writer()
	if err != nil {
		return err
	}
	if _, err := io.Copy(writer, body); err != nil {
		return fmt.Errorf("reading %s %s: %w", kind, h, err)
	}
	_, err = into.SetEncodedObject(kept)
	return err
}
