package source_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/eks-gitops/reconciler/internal/sim/git"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/source"
)

func TestPollsCostOneRequestAndFetchesOnlyHappenWhenTheBranchMoved(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	first := h.write(t, "clusters/dev/cluster.yaml", "kind: ClusterConfig\n")
	server := h.serve(t, git.Options{})
	s := open(t, source.Options{Location: server.URL + "/fleet.git"})

	got := fetch(t, s)
	want := gitops.Revision{Hash: first, Ref: "main", Subject: "Change things", Author: "Ada Example", At: time.Date(2026, 1, 2, 3, 5, 5, 0, time.UTC)}
	if diff := cmp.Diff(want, got.Revision); diff != "" {
		t.Error(diff)
	}
	wantFiles(t, got, map[string]string{"clusters/dev/cluster.yaml": "kind: ClusterConfig\n"})
	if listed, fetched := server.Requests(); listed != 1 || fetched != 1 {
		t.Errorf("the first fetch made %d+%d requests; want 1+1", listed, fetched)
	}

	for range 3 {
		if again := fetch(t, s); again.Revision != got.Revision {
			t.Errorf("the revision changed to %v without a commit", again.Revision)
		}
	}
	if listed, fetched := server.Requests(); listed != 3 || fetched != 0 {
		t.Errorf("3 polls made %d+%d requests; want 3+0", listed, fetched)
	}

	second := h.write(t, "README.md", "hello\n")
	next := fetch(t, s)
	if next.Revision.Hash != second {
		t.Errorf("got %s; want %s", next.Revision.Hash, second)
	}
	if listed, fetched := server.Requests(); listed != 1 || fetched != 1 {
		t.Errorf("after a push: %d+%d requests; want 1+1", listed, fetched)
	}
	wantFiles(t, next, map[string]string{"clusters/dev/cluster.yaml": "kind: ClusterConfig\n", "README.md": "hello\n"})
	wantFiles(t, got, map[string]string{"clusters/dev/cluster.yaml": "kind: ClusterConfig\n"})
}

func TestRewrittenHistoryIsFollowed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write(t, "a", "1")
	h.write(t, "b", "2")
	server := h.serve(t, git.Options{})
	s := open(t, source.Options{Location: server.URL + "/fleet.git", Rev: "main"})
	fetch(t, s)
	h.commit(t, git.Commit{Orphan: true, Write: map[string]string{"b": "2", "c": "3"}})
	wantFiles(t, fetch(t, s), map[string]string{"b": "2", "c": "3"})
	// What an older revision had, the server believes to be here still when the branch goes back to it.
	h.commit(t, git.Commit{Write: map[string]string{"a": "1"}, Delete: []string{"c"}})
	wantFiles(t, fetch(t, s), map[string]string{"a": "1", "b": "2"})
}

func TestARepositoryMadeAnewIsFollowed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write(t, "a", "1")
	server := h.serve(t, git.Options{})
	s := open(t, source.Options{Location: server.URL + "/fleet.git"})
	fetch(t, s)
	if err := os.RemoveAll(h.repo.Path); err != nil {
		t.Fatal(err)
	}
	refused(t, s, gitops.SourceUnreachable, "no such repository")
	fresh, err := git.Init(t.Context(), h.repo.Path)
	if err != nil {
		t.Fatal(err)
	}
	h.repo = fresh
	refused(t, s, gitops.SourceInvalid, "no commits")
	h.write(t, "z", "26")
	wantFiles(t, fetch(t, s), map[string]string{"z": "26"})
}

func TestReferences(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	one := h.write(t, "n", "1")
	h.git(t, "tag", "v1.0.0", one)
	two := h.write(t, "n", "2")
	h.git(t, "-c", "user.name=x", "-c", "user.email=x@example.com", "tag", "-a", "-m", "two", "v1.2.0", two)
	three := h.write(t, "n", "3")
	h.git(t, "tag", "v2.0.0-rc.1", three)
	side := h.commit(t, git.Commit{Branch: "release/1.x", Write: map[string]string{"n": "side"}})
	h.git(t, "branch", "both", one)
	h.git(t, "tag", "both", two)
	server := h.serve(t, git.Options{})
	cases := []struct{ rev, hash, ref string }{
		{"", three, "main"}, {"HEAD", three, "main"}, {"main", three, "main"}, {"refs/heads/main", three, "main"},
		{"release/1.x", side, "release/1.x"}, {"v1.0.0", one, "v1.0.0"}, {"v1.2.0", two, "v1.2.0"}, {"refs/tags/v1.2.0", two, "v1.2.0"},
		{">=1.0 <2", two, "v1.2.0"}, {"~1.0", one, "v1.0.0"}, {"*", two, "v1.2.0"}, {">=2.0.0-0", three, "v2.0.0-rc.1"},
		{three, three, three}, {two, two, two}, {one, one, one}, {strings.ToUpper(one), one, one}, {"both", one, "both"}, {"refs/tags/both", two, "both"},
	}
	for _, location := range []string{server.URL + "/fleet.git", h.repo.Path, "file://" + h.repo.Path} {
		for _, c := range cases {
			s := open(t, source.Options{Location: location, Rev: c.rev})
			if got := fetch(t, s).Revision; got.Hash != c.hash || got.Ref != c.ref {
				t.Errorf("%q at %s: got %s@%s; want %s@%s", c.rev, location, got.Ref, got.Hash, c.ref, c.hash)
			}
		}
		for rev, says := range map[string]string{
			"nowhere": "main", ">=3": "no tag is in this semver range", one[:10]: "all its 40 digits", strings.Repeat("0a", 20): "commit",
		} {
			refused(t, open(t, source.Options{Location: location, Rev: rev}), gitops.SourceInvalid, says)
		}
	}
}

func TestACommitThatNoBranchListsIsFoundAndThenNeverAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, allow := range []string{"false", "true"} {
		h := newHost(t)
		h.git(t, "config", "uploadpack.allowReachableSHA1InWant", allow)
		old := h.write(t, "n", "1")
		h.write(t, "n", "2")
		server := h.serve(t, git.Options{})
		s := open(t, source.Options{Location: server.URL + "/fleet.git", Rev: old})
		wantFiles(t, fetch(t, s), map[string]string{"n": "1"})
		server.Requests()
		wantFiles(t, fetch(t, s), map[string]string{"n": "1"})
		if listed, fetched := server.Requests(); listed+fetched != 0 {
			t.Errorf("a commit that is known was asked for again: %d+%d requests", listed, fetched)
		}
	}
}

func TestFaultsOfTheServer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write(t, "big", strings.Repeat("0123456789abcdef", 1<<12)+fmt.Sprint(time.Now().UnixNano()))
	server := h.serve(t, git.Options{})
	cases := []struct {
		name   string
		fault  git.Fault
		reason gitops.Reason
	}{
		{"unavailable", git.Fault{Path: "info/refs", Status: 503, Body: "later"}, gitops.SourceUnreachable},
		{"unavailable while fetching", git.Fault{Path: "/git-upload-pack", Status: 502, Body: "later"}, gitops.SourceUnreachable},
		{"forbidden", git.Fault{Path: "info/refs", Status: 403}, gitops.SourceDenied},
		{"unauthorized", git.Fault{Path: "info/refs", Status: 401}, gitops.SourceDenied},
		{"missing", git.Fault{Path: "info/refs", Status: 404}, gitops.SourceUnreachable},
		{"a login page", git.Fault{Path: "info/refs", Status: 200, Body: "<html>please log in</html>"}, gitops.SourceUnreachable},
		{"cut references", git.Fault{Path: "info/refs", Cut: 40}, gitops.SourceUnreachable},
		{"cut pack", git.Fault{Path: "/git-upload-pack", Cut: 200}, gitops.SourceUnreachable},
	}
	for _, c := range cases {
		s := open(t, source.Options{Location: server.URL + "/fleet.git"})
		server.Inject(c.fault, 1)
		e := refused(t, s, c.reason, server.URL+"/fleet.git")
		t.Logf("%s: %v", c.name, e)
		server.Heal()
		if got := contents(t, fetch(t, s).Files); len(got) != 1 {
			t.Errorf("%s: after the fault, got %d files", c.name, len(got))
		}
	}
}

func TestAServerThatSaysNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write(t, "a", "1")
	server := h.serve(t, git.Options{})
	server.Inject(git.Fault{Path: "fleet.git", Hang: true}, -1)
	s := open(t, source.Options{Location: server.URL + "/fleet.git", Answer: 100 * time.Millisecond})
	refused(t, s, gitops.SourceUnreachable, "no answer within 100ms")
	server.Heal()
	// The same source goes on as soon as the server answers in time, which on a busy machine may take some tries.
	for {
		_, err := s.Fetch(t.Context())
		if err == nil {
			break
		}
		if e := gitops.AsError(gitops.Internal, err); e.Reason != gitops.SourceUnreachable || t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	h.write(t, "a", "2")
	server.Inject(git.Fault{Path: "/git-upload-pack", Hang: true}, -1)
	s = open(t, source.Options{Location: server.URL + "/fleet.git", Timeout: 500 * time.Millisecond})
	refused(t, s, gitops.SourceUnreachable, "not done within 500ms")
}

func TestCredentialsAreReadAgainWhenTheyChange(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write(t, "a", "1")
	server := h.serve(t, git.Options{TLS: true, User: "ada", Password: "first-password"})
	password, ca := secret(t, "password", "first-password\n"), secret(t, "ca", string(server.CA))
	s := open(t, source.Options{Location: server.URL + "/fleet.git", Credentials: source.Credentials{Username: "ada", PasswordFile: password, CAFile: ca}})
	fetch(t, s)

	server.Require(git.Options{User: "ada", Password: "second-password"})
	e := refused(t, s, gitops.SourceDenied, "credentials")
	if strings.Contains(e.Error(), "password") {
		t.Errorf("the password leaks: %v", e)
	}
	rewrite(t, password, "second-password")
	fetch(t, s)

	rewrite(t, ca, "no certificate")
	refused(t, s, gitops.SourceDenied, "certificate authorities", ca)
	other, err := git.Serve(t.TempDir(), git.Options{TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	rewrite(t, ca, string(other.CA))
	refused(t, s, gitops.SourceUnreachable, "certificate")
	rewrite(t, ca, string(server.CA))
	fetch(t, s)

	rewrite(t, password, "\n")
	refused(t, s, gitops.SourceDenied, "empty", password)
	if err := os.Remove(password); err != nil {
		t.Fatal(err)
	}
	refused(t, s, gitops.SourceDenied, "reading the password", password)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write(t, "a", "1")
	token := secret(t, "token", "ghp_0123456789\n")
	bearer := h.serve(t, git.Options{Token: "ghp_0123456789"})
	fetch(t, open(t, source.Options{Location: bearer.URL + "/fleet.git", Credentials: source.Credentials{TokenFile: token}}))
	basic := h.serve(t, git.Options{User: "x-access-token", Password: "ghp_0123456789"})
	fetch(t, open(t, source.Options{Location: basic.URL + "/fleet.git", Credentials: source.Credentials{Username: "x-access-token", TokenFile: token}}))
	refused(t, open(t, source.Options{Location: basic.URL + "/fleet.git", Credentials: source.Credentials{TokenFile: token}}), gitops.SourceDenied)
}

func TestSecretsStayOutOfErrors(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry/p+ss"
	h := newHost(t)
	h.write(t, "a", "1")
	server := h.serve(t, git.Options{User: "ada", Password: canary})
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("ada", canary)
	s := open(t, source.Options{Location: u.String() + "/fleet.git"})
	fetch(t, s)
	for _, f := range []git.Fault{
		{Path: "info/refs", Status: 500, Body: "you sent ada:" + canary}, {Path: "info/refs", Status: 401}, {Path: "info/refs", Cut: 5},
	} {
		server.Inject(f, 1)
		_, err := s.Fetch(t.Context())
		for e := err; e != nil; e = errors.Unwrap(e) {
			if text := e.Error(); strings.Contains(text, canary) || strings.Contains(text, url.QueryEscape(canary)) || strings.Contains(text, "ada:") {
				t.Errorf("the password leaks: %s", text)
			}
		}
		if err == nil {
			t.Error("the fault did not show")
		}
	}
	for _, location := range []string{"https://ada:" + canary + "@", "ftp://ada:" + canary + "@host/x", "https://ada:" + canary + "@host:port/x\x7f", "ssh://ada:" + canary + "@/"} {
		if _, err := source.Open(source.Options{Location: location}); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("opening: %v", err)
		}
	}
}

func TestSymlinksAndSubmodules(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	id := h.commit(t, git.Commit{
		Write: map[string]string{"base/a.yaml": "a", "base/deep/b.yaml": "b", "ok": "ok"},
		Link: map[string]string{
			"overlay/file": "../base/a.yaml", "overlay/folder": "../base/deep", "overlay/chain": "folder/../../ok",
			"bad/out": "../../etc/passwd", "bad/absolute": "/etc/passwd", "bad/loop": "loop", "bad/nowhere": "missing", "bad/late": "../base/../../x",
			"bad/top": "..", "bad/sly": "top/../x",
		},
		Submodule: map[string]string{"bad/sub": "1111111111111111111111111111111111111111"},
	})
	files := fetch(t, open(t, source.Options{Location: h.repo.Path})).Files
	for path, want := range map[string]string{"overlay/file": "a", "overlay/folder/b.yaml": "b", "overlay/chain": "ok"} {
		if got, err := fs.ReadFile(files, path); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", path, got, err, want)
		}
	}
	for path, says := range map[string]string{
		"bad/out": "leaves the repository", "bad/absolute": "not a relative path", "bad/loop": "circle", "bad/nowhere": "not exist",
		"bad/late": "leaves the repository", "bad/sly": "leaves the repository", "bad/sub": "submodule", "bad/sub/x": "submodule",
	} {
		_, err := fs.ReadFile(files, path)
		e, ok := errors.AsType[*gitops.Error](err)
		if !ok || e.Reason != gitops.SourceInvalid || !strings.Contains(e.Error(), says) || !strings.HasPrefix(path, e.From.File) || e.From.File == "" {
			t.Errorf("%s at %s: got %v; want one that says %q and names the file", path, id, err, says)
		}
	}
}

func TestSnapshotIsAFileSystem(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.commit(t, git.Commit{
		Write: map[string]string{"a": "1", "b/c": "2", "b/d/e": "", "b.x": "3", "b-x/y": "4", "ünï": "5"},
		Link:  map[string]string{"link": "b/c", "b/up": "../a", "dirlink": "b/d"},
	})
	for _, s := range []source.Source{open(t, source.Options{Location: h.repo.Path}), open(t, source.Options{Location: checkout(t, h)})} {
		if err := fstest.TestFS(fetch(t, s).Files, "a", "b/c", "b/d/e", "b.x", "b-x/y", "link", "b/up"); err != nil {
			t.Error(err)
		}
	}
}

// TestAnyTreeComesBackAsItWas commits random trees one after the other and follows them.
func TestAnyTreeComesBackAsItWas(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	server := h.serve(t, git.Options{})
	s := open(t, source.Options{Location: server.URL + "/fleet.git"})
	direct := open(t, source.Options{Location: "file://" + h.repo.Path})
	have := map[string]string{}
	rapid.Check(t, func(r *rapid.T) {
		change := git.Commit{Write: map[string]string{}, Orphan: rapid.Bool().Draw(r, "orphan")}
		if change.Orphan {
			have = map[string]string{}
		}
		for range rapid.IntRange(1, 4).Draw(r, "writes") {
			path := rapid.StringMatching(`[a-c](/[d-f]x){0,2}/[g-i]\.yaml`).Draw(r, "path")
			change.Write[path] = rapid.StringN(0, 40, -1).Draw(r, "content")
		}
		maps.Copy(have, change.Write)
		if _, err := h.repo.Commit(t.Context(), change); err != nil {
			r.Fatal(err)
		}
		for _, s := range []source.Source{s, direct} {
			snapshot, err := s.Fetch(t.Context())
			if err != nil {
				r.Fatal(err)
			}
			if diff := cmp.Diff(have, contents(t, snapshot.Files)); diff != "" {
				r.Fatal(diff)
			}
		}
	})
}

func TestTheCacheSavesAFetchAfterARestart(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write(t, "a", "1")
	server := h.serve(t, git.Options{})
	o := source.Options{Location: server.URL + "/fleet.git", Cache: t.TempDir()}
	before := fetch(t, open(t, o))
	server.Requests()
	after := fetch(t, open(t, o))
	if listed, fetched := server.Requests(); listed != 1 || fetched != 0 {
		t.Errorf("after a restart: %d+%d requests; want 1+0", listed, fetched)
	}
	if before.Revision != after.Revision {
		t.Errorf("got %v; want %v", after.Revision, before.Revision)
	}
	wantFiles(t, after, map[string]string{"a": "1"})
	h.write(t, "b", "2")
	wantFiles(t, fetch(t, open(t, o)), map[string]string{"a": "1", "b": "2"})
	packs, err := filepath.Glob(filepath.Join(o.Cache, "*"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("the cache holds %v, %v; want one file", packs, err)
	}
	for _, damage := range []func([]byte) []byte{
		func(b []byte) []byte { return b[:len(b)/2] }, func(b []byte) []byte { b[len(b)-30] ^= 1; return b }, func([]byte) []byte { return nil },
	} {
		body, err := os.ReadFile(packs[0])
		if err != nil {
			t.Fatal(err)
		}
		rewrite(t, packs[0], string(damage(body)))
		wantFiles(t, fetch(t, open(t, o)), map[string]string{"a": "1", "b": "2"})
	}
}

func TestWatchNudgesAfterAPush(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write(t, "a", "1")
	server := h.serve(t, git.Options{})
	for _, location := range []string{server.URL + "/fleet.git", h.repo.Path} {
		s := open(t, source.Options{Location: location, Interval: 20 * time.Millisecond, Jitter: func() float64 { return 0.5 }})
		fetch(t, s)
		watch(t, s)
		for range 2 {
			id := h.write(t, "a", time.Now().String())
			until(t, s, "the pushed commit", func(g gitops.Snapshot) bool { return g.Revision.Hash == id })
		}
		h.git(t, "gc", "--quiet")
		id := h.write(t, "a", "after gc")
		until(t, s, "the commit after gc", func(g gitops.Snapshot) bool { return g.Revision.Hash == id })
	}
}
