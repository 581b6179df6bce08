package source_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/git"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/source"
)

// checkout clones the host's repository into a folder.
func checkout(t *testing.T, h *host) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "fleet")
	run(t, filepath.Dir(folder), "git", "clone", "--quiet", h.repo.Path, folder)
	return folder
}

func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com", "GIT_CONFIG_GLOBAL=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

func put(t *testing.T, folder, path, content string) {
	t.Helper()
	full := filepath.Join(folder, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAFolderIsItsCommitWhenItIsExactlyThat(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	id := h.commit(t, git.Commit{Write: map[string]string{"a": "1", "sub/b": "2", ".gitignore": "*.log\n/build/\n!keep.log\n", "old.log": "tracked"}, Link: map[string]string{"l": "a"}, Message: "Begin\n\nwith a body"})
	folder := checkout(t, h)
	s := open(t, source.Options{Location: folder})
	clean := fetch(t, s)
	if r := clean.Revision; r.Hash != id || r.Dirty || r.Ref != "" || r.Subject != "Begin" || r.Author != "Ada Example" {
		t.Errorf("got %+v; want the commit %s", r, id)
	}
	want := map[string]string{"a": "1", "l": "1", "sub/b": "2", ".gitignore": "*.log\n/build/\n!keep.log\n", "old.log": "tracked"}
	wantFiles(t, clean, want)

	put(t, folder, "build/out", "ignored")
	put(t, folder, "sub/x.log", "ignored")
	if r := fetch(t, s).Revision; r.Hash != id {
		t.Errorf("files that git ignores make it %+v", r)
	}
	put(t, folder, "a", "changed")
	dirty := fetch(t, s)
	if r := dirty.Revision; !r.Dirty || !strings.HasPrefix(r.Hash, id+"-") || r.Short() != id[:7]+"+" {
		t.Errorf("got %+v for a changed file", r)
	}
	if again := fetch(t, s).Revision; again != dirty.Revision {
		t.Errorf("the same content is %v and %v", dirty.Revision, again)
	}
	put(t, folder, "sub/keep.log", "new")
	more := fetch(t, s)
	if more.Revision.Hash == dirty.Revision.Hash {
		t.Error("another change has the same revision")
	}
	wantFiles(t, clean, want)
	want["a"], want["l"], want["sub/keep.log"] = "changed", "changed", "new"
	wantFiles(t, more, want)

	put(t, folder, "a", "1")
	if err := os.Remove(filepath.Join(folder, "sub/keep.log")); err != nil {
		t.Fatal(err)
	}
	if r := fetch(t, s).Revision; r.Hash != id || r.Dirty {
		t.Errorf("undone, it is %+v", r)
	}
	if err := os.Remove(filepath.Join(folder, "old.log")); err != nil {
		t.Fatal(err)
	}
	if r := fetch(t, s).Revision; !r.Dirty {
		t.Errorf("a deleted file leaves it %+v", r)
	}
	run(t, folder, "git", "commit", "--quiet", "-am", "Remove the log")
	if r := fetch(t, s).Revision; r.Dirty || r.Subject != "Remove the log" || r.Hash == id {
		t.Errorf("committed, it is %+v", r)
	}
	sub := fetch(t, open(t, source.Options{Location: filepath.Join(folder, "sub")}))
	wantFiles(t, sub, map[string]string{"b": "2"})
	if sub.Revision.Dirty || sub.Revision.Subject != "Remove the log" {
		t.Errorf("a folder below the top is %+v", sub.Revision)
	}
}

func TestAFolderOutsideGit(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	put(t, folder, "a", "1")
	put(t, folder, ".gitignore", "*\n")
	s := open(t, source.Options{Location: folder})
	first := fetch(t, s)
	wantFiles(t, first, map[string]string{"a": "1", ".gitignore": "*\n"})
	if len(first.Revision.Hash) != 40 || first.Revision.Dirty {
		t.Errorf("got %+v; want a hash of the content", first.Revision)
	}
	put(t, folder, "b", "1")
	if second := fetch(t, s); second.Revision == first.Revision {
		t.Error("a new file changes nothing")
	}
	if err := os.Remove(filepath.Join(folder, "b")); err != nil {
		t.Fatal(err)
	}
	if third := fetch(t, s); third.Revision != first.Revision {
		t.Error("the same content has another hash")
	}
	unborn := t.TempDir()
	run(t, unborn, "git", "init", "--quiet")
	put(t, unborn, "a", "1")
	if r := fetch(t, open(t, source.Options{Location: unborn})).Revision; !r.Dirty || len(r.Hash) != 40 {
		t.Errorf("a repository without commits is %+v", r)
	}
}

func TestWhatAFolderMayNotHold(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.commit(t, git.Commit{
		Write:     map[string]string{"a": "1"},
		Link:      map[string]string{"out": "../../../etc/hostname", "abs": "/etc/hostname"},
		Submodule: map[string]string{"sub": "1111111111111111111111111111111111111111"},
	})
	folder := checkout(t, h)
	if err := os.Mkdir(filepath.Join(folder, "sub"), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	files := fetch(t, open(t, source.Options{Location: folder})).Files
	for path, says := range map[string]string{"out": "leaves the repository", "abs": "not a relative path", "sub": "submodule"} {
		_, err := fs.ReadFile(files, path)
		if e, ok := errors.AsType[*gitops.Error](err); !ok || e.Reason != gitops.SourceInvalid || e.From.File != path || !strings.Contains(e.Error(), says) {
			t.Errorf("%s: got %v; want one that says %q", path, err, says)
		}
	}
}

func TestLocationsThatAreNone(t *testing.T) {
	t.Parallel()
	file := secret(t, "file", "x")
	for location, reason := range map[string]gitops.Reason{
		"": gitops.SourceInvalid, file: gitops.SourceInvalid, filepath.Join(t.TempDir(), "nowhere"): gitops.SourceUnreachable,
		"ftp://host/x": gitops.SourceInvalid, "https://": gitops.SourceInvalid, "file://host/x": gitops.SourceInvalid, "ssh://host": gitops.SourceInvalid,
	} {
		if _, err := source.Open(source.Options{Location: location}); gitops.AsError("none", err) == nil || gitops.AsError("none", err).Reason != reason {
			t.Errorf("%q: got %v; want %s", location, err, reason)
		}
	}
	refused(t, open(t, source.Options{Location: t.TempDir(), Rev: "main"}), gitops.SourceInvalid, "no git repository")
	refused(t, open(t, source.Options{Location: "file:///nowhere/at/all.git"}), gitops.SourceUnreachable, "/nowhere/at/all.git")
}

// TestEditorsAreNoticed saves a file in the ways that editors and people do.
func TestEditorsAreNoticed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	put(t, folder, "clusters/dev/cluster.yaml", "v0")
	s := open(t, source.Options{Location: folder, Debounce: 5 * time.Millisecond})
	watch(t, s)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, "clusters/dev/cluster.yaml")
	steps := []struct {
		name string
		do   func(content string)
		path string
	}{
		{"write in place", func(c string) { put(t, folder, "clusters/dev/cluster.yaml", c) }, "clusters/dev/cluster.yaml"},
		{"write beside and rename over (vim, emacs, JetBrains)", func(c string) {
			put(t, folder, "clusters/dev/cluster.yaml~tmp", c)
			must(os.Rename(file+"~tmp", file))
		}, "clusters/dev/cluster.yaml"},
		{"move away, write, remove the old one (vim backupcopy=no)", func(c string) {
			must(os.Rename(file, file+"~"))
			put(t, folder, "clusters/dev/cluster.yaml", c)
			must(os.Remove(file + "~"))
		}, "clusters/dev/cluster.yaml"},
		{"truncate, then write in pieces (nano, VS Code)", func(c string) {
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
			must(err)
			for _, b := range []byte(c) {
				_, err := f.Write([]byte{b})
				must(err)
			}
			must(f.Close())
		}, "clusters/dev/cluster.yaml"},
		{"new nested folders", func(c string) { put(t, folder, "clusters/dev/addons/one/two/k.yaml", c) }, "clusters/dev/addons/one/two/k.yaml"},
		{"a file in a folder that was new", func(c string) { put(t, folder, "clusters/dev/addons/one/two/k.yaml", c) }, "clusters/dev/addons/one/two/k.yaml"},
		{"a renamed folder", func(c string) {
			put(t, folder, "clusters/dev/addons/one/two/k.yaml", c)
			must(os.Rename(filepath.Join(folder, "clusters/dev/addons"), filepath.Join(folder, "clusters/dev/apps")))
		}, "clusters/dev/apps/one/two/k.yaml"},
		{"a file in a renamed folder", func(c string) { put(t, folder, "clusters/dev/apps/one/two/k.yaml", c) }, "clusters/dev/apps/one/two/k.yaml"},
		{"a folder moved in from outside", func(c string) {
			outside := t.TempDir()
			put(t, outside, "base/x.yaml", c)
			must(os.Rename(filepath.Join(outside, "base"), filepath.Join(folder, "base")))
		}, "base/x.yaml"},
		{"a file in a folder that was moved in", func(c string) { put(t, folder, "base/x.yaml", c) }, "base/x.yaml"},
		{"a symlink replaced (Kubernetes volumes)", func(c string) {
			put(t, folder, "..data-"+c+"/v", c)
			must(os.Symlink("..data-"+c, filepath.Join(folder, "tmp-link")))
			must(os.Rename(filepath.Join(folder, "tmp-link"), filepath.Join(folder, "data")))
		}, "data/v"},
	}
	for i, step := range steps {
		want := "version-" + string(rune('a'+i))
		step.do(want)
		until(t, s, step.name, func(g gitops.Snapshot) bool {
			body, err := fs.ReadFile(g.Files, step.path)
			return err == nil && string(body) == want
		})
	}
	must(os.RemoveAll(filepath.Join(folder, "clusters")))
	until(t, s, "a deleted folder", func(g gitops.Snapshot) bool {
		_, err := fs.Stat(g.Files, "clusters")
		return errors.Is(err, fs.ErrNotExist)
	})
}

func TestACommitIsNoticed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write(t, "a", "1")
	folder := checkout(t, h)
	s := open(t, source.Options{Location: folder, Debounce: 5 * time.Millisecond})
	watch(t, s)
	put(t, folder, "a", "2")
	until(t, s, "a dirty folder", func(g gitops.Snapshot) bool { return g.Revision.Dirty })
	run(t, folder, "git", "commit", "--quiet", "-am", "Two")
	until(t, s, "a commit", func(g gitops.Snapshot) bool { return !g.Revision.Dirty && g.Revision.Subject == "Two" })
	run(t, folder, "git", "checkout", "--quiet", "-b", "other")
	put(t, folder, "sub/b", "3")
	run(t, folder, "git", "add", "sub")
	run(t, folder, "git", "commit", "--quiet", "-m", "Three")
	until(t, s, "a commit on a branch", func(g gitops.Snapshot) bool { return !g.Revision.Dirty && g.Revision.Subject == "Three" })
}

func TestALinkedWorktree(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	id := h.write(t, "a", "1")
	folder := checkout(t, h)
	linked := filepath.Join(t.TempDir(), "linked")
	run(t, folder, "git", "worktree", "add", "--quiet", linked, "HEAD")
	s := open(t, source.Options{Location: linked, Debounce: 5 * time.Millisecond})
	if r := fetch(t, s).Revision; r.Hash != id || r.Dirty {
		t.Errorf("got %+v; want %s", r, id)
	}
	watch(t, s)
	put(t, linked, "a", "2")
	run(t, linked, "git", "commit", "--quiet", "-am", "Linked")
	until(t, s, "a commit in a linked worktree", func(g gitops.Snapshot) bool { return g.Revision.Subject == "Linked" && !g.Revision.Dirty })
}
