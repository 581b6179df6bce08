package source_test

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/git"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/source"
)

// host is a folder with one repository, "fleet.git".
type host struct {
	folder string
	repo   *git.Repository
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{folder: t.TempDir()}
	var err error
	if h.repo, err = git.Init(t.Context(), filepath.Join(h.folder, "fleet.git")); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *host) commit(t *testing.T, c git.Commit) string {
	t.Helper()
	id, err := h.repo.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (h *host) write(t *testing.T, path, content string) string {
	t.Helper()
	return h.commit(t, git.Commit{Write: map[string]string{path: content}})
}

func (h *host) git(t *testing.T, args ...string) string {
	t.Helper()
	out, err := h.repo.Git(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (h *host) serve(t *testing.T, o git.Options) *git.Server {
	t.Helper()
	s, err := git.Serve(h.folder, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func open(t *testing.T, o source.Options) source.Source {
	t.Helper()
	s, err := source.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fetch(t *testing.T, s source.Source) gitops.Snapshot {
	t.Helper()
	snapshot, err := s.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

// refused wants an error of a reason whose text has all the words, and gives it back.
func refused(t *testing.T, s source.Source, reason gitops.Reason, words ...string) *gitops.Error {
	t.Helper()
	_, err := s.Fetch(t.Context())
	if err == nil {
		t.Fatalf("fetched; want %s", reason)
	}
	e := gitops.AsError("none", err)
	if e.Reason != reason {
		t.Fatalf("got %v; want %s", e, reason)
	}
	for _, word := range words {
		if !strings.Contains(e.Error()+" "+e.Try, word) {
			t.Errorf("the message does not say %q: %v (try: %s)", word, e, e.Try)
		}
	}
	return e
}

// contents reads every file of a snapshot.
func contents(t *testing.T, files fs.FS) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, path)
		out[path] = string(body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantFiles(t *testing.T, s gitops.Snapshot, want map[string]string) {
	t.Helper()
	if got := contents(t, s.Files); !maps.Equal(got, want) {
		t.Errorf("got files %v; want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

func secret(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	rewrite(t, path, content)
	return path
}

func rewrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// watch runs Watch until the test ends.
func watch(t *testing.T, s source.Source) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Watch(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("watching: %v", err)
		}
	})
}

// until waits for nudges, fetching after each, until the snapshot is as wanted.
func until(t *testing.T, s source.Source, what string, ok func(gitops.Snapshot) bool) gitops.Snapshot {
	t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for {
		select {
		case <-s.Changed():
			if snapshot, err := s.Fetch(t.Context()); err == nil && ok(snapshot) {
				return snapshot
			}
		case <-limit.C:
			t.Fatalf("no nudge led to %s", what)
		}
	}
}
