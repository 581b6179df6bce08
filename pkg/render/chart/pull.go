package chart

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Options tune how charts are fetched; the zero value is right for public repositories.
type Options struct {
	// Cache is a folder that keeps fetched charts across restarts; empty keeps them in memory.
	Cache string
	// LoginFile holds logins in the format of docker's config.json, for OCI registries and https repositories alike. It is read for
	// every fetch.
	LoginFile string
	// CAFile holds further certificate authorities, in PEM.
	CAFile string
	// Proxy tells the proxy of a request; nil means none.
	Proxy func(*http.Request) (*url.URL, error)
	// Timeout bounds one fetch; zero means a minute. A server that says nothing for a quarter of it is given up.
	Timeout time.Duration
	// Now is the clock; with it, a repository that failed is left alone for half a minute.
	Now func() time.Time
}

const (
	maxIndex   = 64 << 20
	maxArchive = 32 << 20
	pause      = 30 * time.Second
)

// Puller fetches charts. It is safe for concurrent use.
type Puller struct {
	options Options

	mu    sync.Mutex
	kept  map[string][]byte
	locks map[string]*sync.Mutex
	// failed remembers why a fetch failed, and until when that stands.
	failed map[string]failure
}

type failure struct {
	err   *gitops.Error
	until time.Time
}

// NewPuller makes one. Nothing is contacted.
func NewPuller(o Options) *Puller {
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	return &Puller{options: o, kept: map[string][]byte{}, locks: map[string]*sync.Mutex{}, failed: map[string]failure{}}
}

// Source names one chart of a repository.
type Source struct {
	// Repo is an https or oci URL.
	Repo string
	Name string
	// Version is exact: a range would mean another chart another day.
	Version string
}

// Check says what is wrong with a source before anything is fetched.
func (s Source) Check() error {
	u, err := url.Parse(s.Repo)
	switch {
	case err != nil || u.Host == "":
		return gitops.Errorf(gitops.RenderFailed, "repo is not a URL")
	case u.User != nil:
		return gitops.Errorf(gitops.RenderFailed, "repo holds a login, which does not belong in git")
	case u.Scheme != "https" && u.Scheme != "oci":
		return gitops.Errorf(gitops.RenderFailed, "repo is at %s://; charts come from https:// and oci://", u.Scheme)
	case s.Version == "":
		return gitops.Errorf(gitops.RenderFailed, "a chart of a repository needs a version: the newest one is another chart another day")
	}
	if _, err := semver.StrictNewVersion(strings.TrimPrefix(s.Version, "v")); err != nil {
		return gitops.Errorf(gitops.RenderFailed, "version %q is not exact: want one such as 1.2.3, which stays the same chart", s.Version)
	}
	return nil
}

func (s Source) String() string {
	return strings.TrimSuffix(s.Repo, "/") + " " + s.Name + " " + s.Version
}

func (s Source) key() string {
	sum := sha256.Sum256([]byte(s.Repo + "\x00" + s.Name + "\x00" + s.Version))
	return hex.EncodeToString(sum[:16])
}

// Pull gives the archive of a chart: the one that is kept, or else the repository's.
func (p *Puller) Pull(ctx context.Context, s Source) ([]byte, *gitops.Error) {
	lock := p.lock(s.key())
	lock.Lock()
	defer lock.Unlock()
	if body := p.load(s); body != nil {
		return body, nil
	}
	if known := p.known(s); known != nil {
		return nil, known
	}
	ctx, cancel := context.WithTimeout(ctx, p.options.Timeout)
	defer cancel()
	body, err := p.fetch(ctx, s)
	if err != nil {
		failed := gitops.Errorf(gitops.ChartUnavailable, "fetching chart %s: %s", s, clean(err))
		if !errors.Is(ctx.Err(), context.Canceled) {
			p.remember(s, failed)
		}
		return nil, failed
	}
	p.save(s, body)
	return body, nil
}

func (p *Puller) fetch(ctx context.Context, s Source) ([]byte, error) {
	client, err := p.client()
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	logins, err := readLogins(p.options.LoginFile)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(s.Repo, "oci://") {
		return fromRegistry(ctx, client, logins, s)
	}
	return fromIndex(ctx, client, logins, s)
}

// lock makes fetches of the same chart wait for each other.
func (p *Puller) lock(key string) *sync.Mutex {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.locks[key] == nil {
		p.locks[key] = &sync.Mutex{}
	}
	return p.locks[key]
}

func (p *Puller) known(s Source) *gitops.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f, ok := p.failed[s.key()]; ok && p.options.Now != nil && p.options.Now().Before(f.until) {
		return f.err
	}
	return nil
}

func (p *Puller) remember(s Source, err *gitops.Error) {
	if p.options.Now == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed[s.key()] = failure{err: err, until: p.options.Now().Add(pause)}
}

// clean takes out of an error's text what URLs may carry: signatures in queries.
func clean(err error) string {
	return regexp.MustCompile(`\?[^\s"]+`).ReplaceAllString(strings.Join(strings.Fields(err.Error()), " "), "?...")
}
