package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// folder is a folder as it is, committed or not.
type folder struct {
	options Options
	path    string
	changed nudger
	turn    chan struct{}
	last    gitops.Snapshot
	known   *checkout
}

func newFolder(o Options, path string) *folder {
	f := &folder{options: o, path: path, changed: make(nudger, 1), turn: make(chan struct{}, 1)}
	f.turn <- struct{}{}
	return f
}

// Changed implements Source.
func (f *folder) Changed() <-chan struct{} { return f.changed }

// Fetch implements Source: it reads the whole folder into memory.
func (f *folder) Fetch(ctx context.Context) (gitops.Snapshot, error) {
	select {
	case <-ctx.Done():
		return gitops.Snapshot{}, gitops.Errorf(gitops.SourceUnreachable, "reading %s: %w", f.options.Location, ctx.Err())
	case <-f.turn:
	}
	defer func() { f.turn <- struct{}{} }()
	f.known = openCheckout(f.path, f.known)
	content, err := f.capture(ctx)
	if err != nil {
		if e, ok := errors.AsType[*gitops.Error](err); ok {
			return gitops.Snapshot{}, e
		}
		return gitops.Snapshot{}, gitops.Errorf(gitops.SourceUnreachable, "reading %s: %w", f.options.Location, cause(err))
	}
	revision := f.revision(content)
	if f.last.Files == nil || f.last.Revision != revision {
		f.last = gitops.Snapshot{Revision: revision, Files: &tree{root: content.root, at: revision.At}}
	}
	return f.last, nil
}

// capture reads the folder. Editors replace files, so one that was listed may be gone for a moment: then it is read again.
func (f *folder) capture(ctx context.Context) (*captured, error) {
	const tries = 4
	for try := 1; ; try++ {
		c := &captured{at: f.path, rules: f.known}
		root, err := c.folder(ctx, "", nil)
		if err == nil {
			c.root = root
			return c, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || try == tries || !sleep(ctx, 10*time.Millisecond) {
			return nil, err
		}
	}
}

// revision names the content: the commit when the folder is exactly that, else the commit and a hash of the content.
func (f *folder) revision(c *captured) gitops.Revision {
	slices.SortFunc(c.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	sum := sha256.New()
	for _, file := range c.files {
		sum.Write(fmt.Appendf(nil, "%o %s %s\n", file.kind, file.hash, file.path))
	}
	content := hex.EncodeToString(sum.Sum(nil))[:40]
	if f.known == nil {
		return gitops.Revision{Hash: content}
	}
	if f.known.head == nil {
		return gitops.Revision{Hash: content, Dirty: true}
	}
	if !f.known.equals(c.files) {
		return gitops.Revision{Hash: f.known.head.hash + "-" + content[:12], Dirty: true}
	}
	h := f.known.head
	return gitops.Revision{Hash: h.hash, Subject: h.subject, Author: h.author, At: h.at}
}

// Watch implements Source.
func (f *folder) Watch(ctx context.Context) error {
	home, common := gitFolders(worktree(f.path))
	w := watcher{
		folders: func() ([]string, error) {
			c := &captured{at: f.path, rules: openCheckout(f.path, nil), namesOnly: true}
			if _, err := c.folder(ctx, "", nil); err != nil {
				return nil, err
			}
			if home != "" {
				c.folders = append(append(c.folders, home, common), below(filepath.Join(common, "refs"))...)
			}
			return c.folders, nil
		},
		relevant: func(path string) bool {
			if home != "" && (within(path, home) || within(path, common)) {
				// A commit changes no file of the folder, but what is dirty.
				return movesReferences(path, home, common)
			}
			return true
		},
		nudge: f.changed.nudge, quiet: f.options.Debounce, log: f.options.Log,
	}
	if err := w.run(ctx); err != nil {
		// Most likely there are more folders than the system lets one process watch (fs.inotify.max_user_watches).
		f.options.Log.Warn("watching is not possible; looking again at every interval", "folder", f.options.Location, "error", err, "interval", f.options.Interval)
		for sleep(ctx, f.options.Interval) {
			f.changed.nudge()
		}
	}
	return nil
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+string(filepath.Separator))
}
