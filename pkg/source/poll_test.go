package source

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// clockwork is a remote that is asked for references only.
type clockwork struct {
	mu    sync.Mutex
	at    plumbing.Hash
	err   error
	asked []time.Time
}

func (c *clockwork) set(at plumbing.Hash, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.err = at, err
}

func (c *clockwork) connect(context.Context) (exchange, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, time.Now())
	return c, c.err
}
func (c *clockwork) watch(context.Context, func()) bool { return false }
func (c *clockwork) close()                             {}
func (c *clockwork) references(context.Context) (references, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return references{at: map[string]plumbing.Hash{"refs/heads/main": c.at}, head: "refs/heads/main"}, nil
}
func (c *clockwork) objects(context.Context, choice, plumbing.Hash, *memory.Storage) error {
	return errors.New("objects were not asked for")
}

func TestPollingKeepsTheIntervalAndNudgesOnlyForNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &clockwork{at: plumbing.NewHash(strings.Repeat("1", 40))}
		g := newGit(Options{Interval: 10 * time.Second, Jitter: func() float64 { return 0.5 }}.withDefaults(), "x", c)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		began := time.Now()
		go func() { done <- g.Watch(ctx) }()
		nudged := func() bool {
			synctest.Wait()
			select {
			case <-g.Changed():
				return true
			default:
				return false
			}
		}
		step := func() { time.Sleep(10500 * time.Millisecond) }
		step()
		if !nudged() {
			t.Error("the first poll says nothing")
		}
		step()
		if nudged() {
			t.Error("a poll without news nudges")
		}
		second := plumbing.NewHash(strings.Repeat("2", 40))
		c.set(second, nil)
		step()
		if !nudged() {
			t.Error("a push is not noticed")
		}
		c.set(second, errors.New("down"))
		step()
		if !nudged() {
			t.Error("trouble is not passed on")
		}
		step()
		if nudged() {
			t.Error("lasting trouble nudges every time")
		}
		c.set(second, nil)
		step()
		if !nudged() {
			t.Error("the end of the trouble is not passed on")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for i, at := range c.asked {
			if want := began.Add(time.Duration(i+1) * 10500 * time.Millisecond); !at.Equal(want) {
				t.Errorf("poll %d was at %v; want %v", i, at.Sub(began), want.Sub(began))
			}
		}
	})
}

func TestAPauseEndsWhenItIsQuietOrAtTheLatestAfterTenTimesThat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := func(p *pause) bool {
			synctest.Wait()
			select {
			case <-p.quiet.C:
				return true
			case <-p.limit.C:
				return true
			default:
				return false
			}
		}
		p := newPause(100 * time.Millisecond)
		time.Sleep(time.Hour)
		if ended(p) {
			t.Fatal("a pause that never began has ended")
		}
		p.extend()
		time.Sleep(99 * time.Millisecond)
		p.extend()
		time.Sleep(99 * time.Millisecond)
		if ended(p) {
			t.Fatal("an event does not extend it")
		}
		time.Sleep(time.Millisecond)
		if !ended(p) {
			t.Fatal("quiet does not end it")
		}
		p.end()
		for range 19 {
			p.extend()
			time.Sleep(50 * time.Millisecond)
			if ended(p) {
				t.Fatal("it ends while events come")
			}
		}
		p.extend()
		time.Sleep(50 * time.Millisecond)
		if !ended(p) {
			t.Fatal("steady events put it off for ever")
		}
		p.end()
	})
}

func TestLinksStayInside(t *testing.T) {
	t.Parallel()
	for target, depth := range map[string]int{"a/../../b": 1, "b": 0, "./x/..": 0, "../b": 1} {
		if err := inside(target, depth); err != nil {
			t.Errorf("%q at depth %d: %v", target, depth, err)
		}
	}
	for target, depth := range map[string]int{"../..": 1, "..": 0, "/a": 3, "": 1, "a/../../b": 0} {
		if err := inside(target, depth); err == nil {
			t.Errorf("%q at depth %d is allowed", target, depth)
		}
	}
}

func FuzzPick(f *testing.F) {
	for _, seed := range []string{"", "main", "v1", ">=1 <2", "1.x || 2", strings.Repeat("a", 40), "refs/heads/main", "^", "\x00", "~9999999999999999999999.1"} {
		f.Add(seed)
	}
	h := func(c string) plumbing.Hash { return plumbing.NewHash(strings.Repeat(c, 40)) }
	refs := references{
		at:     map[string]plumbing.Hash{"refs/heads/main": h("1"), "refs/tags/v1.0.0": h("2"), "refs/tags/v1.1.0": h("3"), "refs/tags/nightly": h("4")},
		peeled: map[string]plumbing.Hash{"refs/tags/v1.1.0": h("5")}, head: "refs/heads/main", headAt: h("1"),
	}
	f.Fuzz(func(t *testing.T, rev string) {
		c, err := refs.pick(rev)
		if err != nil {
			if e := gitops.AsError("none", err); e.Reason != gitops.SourceInvalid {
				t.Errorf("%q: %v", rev, err)
			}
			return
		}
		if c.ref == "" || c.commit.IsZero() && !fullHash(rev) {
			t.Errorf("%q resolved to %+v", rev, c)
		}
	})
}

// FuzzLinks follows any symlink from any folder: it may only ever end in the tree, and every refusal names a file.
func FuzzLinks(f *testing.F) {
	for _, seed := range []string{"../a", "/etc/passwd", "..", "../../..", "x/../../../a", "", ".", "link", "../d/../d/link", "a\\b", strings.Repeat("../", 50) + "a"} {
		f.Add(seed, "d/link")
	}
	f.Fuzz(func(t *testing.T, target, name string) {
		leaf := &node{name: "a", mode: 0o644}
		link := &node{name: "link", mode: fs.ModeSymlink, target: target}
		files := &tree{root: &node{name: ".", mode: fs.ModeDir, kids: []*node{leaf, {name: "d", mode: fs.ModeDir, kids: []*node{{name: "a", mode: 0o644}, link}}}}}
		n, err := files.find("open", name, true)
		if err == nil {
			if n == nil || n == link {
				t.Errorf("%q through %q: %v", name, target, n)
			}
			return
		}
		var e *gitops.Error
		if errors.As(err, &e) && (e.From.File == "" || path.Clean(e.From.File) != e.From.File) {
			t.Errorf("the refusal names %q", e.From.File)
		}
	})
}

func FuzzOpen(f *testing.F) {
	for _, seed := range []string{"https://u:s3cr3t@h/x", "git@github.com:a/b.git", "ssh://u:s3cr3t@h:2/x", "://", "file:///x", "http://[::1", "u:s3cr3t@h:x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, location string) {
		s, err := Open(Options{Location: location})
		if err == nil && s == nil || err != nil && gitops.AsError("none", err).Reason == "none" {
			t.Errorf("%q: %v, %v", location, s, err)
		}
		if g, ok := s.(*git); ok && strings.Contains(location, "s3cr3t@") && strings.Contains(g.shown, "s3cr3t") {
			t.Errorf("%q is shown as %q", location, g.shown)
		}
	})
}
