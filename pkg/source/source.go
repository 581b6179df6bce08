package source

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Source is an engine.Source that also watches by itself.
type Source interface {
	// Fetch returns the newest snapshot. When nothing moved, it costs one listing of references (git) or one read of the
	// folder, and returns the same Revision.
	Fetch(ctx context.Context) (gitops.Snapshot, error)
	// Changed delivers a nudge (capacity one, coalesced) when Fetch may yield something new. It is never closed. It only
	// delivers while Watch runs.
	Changed() <-chan struct{}
	// Watch polls or watches until ctx ends, and nudges. Trouble is logged and left to Fetch to report, and files that cannot
	// be watched are polled, so the error is nil as things are.
	Watch(ctx context.Context) error
}

// Options say what to follow and how to get at it.
type Options struct {
	// Location is a URL (https://, http://, ssh://, file:// or git@host:path), the path of a bare repository, or a folder.
	Location string
	// Rev is a branch, tag, full reference, semver range of tags or full commit id. Empty follows the remote's HEAD; for a
	// folder, it means the folder as it is, committed or not.
	Rev string
	// Interval is the time between two polls of a remote repository; zero means 30 s.
	Interval time.Duration
	// Jitter spreads polls: it returns a value in [0, 1). Nil means none.
	Jitter func() float64
	// Answer bounds the time until the server has listed its references; zero means 15 s.
	Answer time.Duration
	// Timeout bounds one exchange with the server, objects included; zero means 2 min.
	Timeout time.Duration
	// Debounce is how long a folder must be quiet before a nudge; zero means 75 ms.
	Debounce time.Duration
	// Cache is a folder that keeps the fetched objects across restarts; empty keeps them in memory only.
	Cache string
	// Credentials say which files hold what the server asks for.
	Credentials Credentials
	// Proxy chooses the HTTP proxy of a request; nil means none. cmd passes http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)
	// Log is where Watch tells about trouble; nil discards it.
	Log *slog.Logger
}

// Open picks the implementation: git for a URL, for a bare repository and for a checkout with Rev set; else the folder as it
// is. It makes no request: trouble with the server is told by Fetch.
func Open(o Options) (Source, error) {
	o = o.withDefaults()
	switch {
	case o.Location == "":
		return nil, gitops.Errorf(gitops.SourceInvalid, "opening the repository: no location given")
	case remoteLocation(o.Location):
		return openRemote(o)
	}
	path, err := filepath.Abs(o.Location)
	if err != nil {
		return nil, gitops.Errorf(gitops.SourceInvalid, "opening %s: %w", o.Location, err)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, elsewhere(gitops.Errorf(gitops.SourceUnreachable, "opening %s: %w", o.Location, cause(err)))
	case !info.IsDir():
		return nil, elsewhere(gitops.Errorf(gitops.SourceInvalid, "opening %s: want a folder or a git repository, not a file", o.Location))
	case o.Rev != "" || bare(path):
		return newGit(o, path, local{path: path}), nil
	}
	return newFolder(o, path), nil
}

func (o Options) withDefaults() Options {
	if o.Interval <= 0 {
		o.Interval = 30 * time.Second
	}
	if o.Answer <= 0 {
		o.Answer = 15 * time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.Debounce <= 0 {
		o.Debounce = 75 * time.Millisecond
	}
	if o.Jitter == nil {
		o.Jitter = func() float64 { return 0 }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// scpForm is git's short form of an ssh URL: [user@]host:path, where host has no slash and path does not begin with "//".
func scpForm() *regexp.Regexp {
	return regexp.MustCompile(`^(?:([^@/:]+)@)?([^/:@]{2,}):([^/].*|/[^/].*)$`)
}

func remoteLocation(s string) bool {
	if strings.Contains(s, "://") {
		return true
	}
	if _, err := os.Stat(s); err == nil {
		return false
	}
	return scpForm().MatchString(s)
}

func openRemote(o Options) (Source, error) {
	location := o.Location
	if !strings.Contains(location, "://") {
		m := scpForm().FindStringSubmatch(location)
		location = (&url.URL{Scheme: "ssh", Host: m[2], Path: "/" + strings.TrimPrefix(m[3], "/")}).String()
		if m[1] != "" {
			location = strings.Replace(location, "ssh://", "ssh://"+url.User(m[1]).String()+"@", 1)
		}
	}
	u, err := url.Parse(location)
	if err != nil {
		// The parser's error quotes the whole URL, userinfo included.
		return nil, gitops.Errorf(gitops.SourceInvalid, "opening the repository: its URL cannot be parsed")
	}
	user := u.User
	u.User = nil
	shown := u.String()
	switch u.Scheme {
	case "https", "http":
		if u.Host == "" {
			return nil, gitops.Errorf(gitops.SourceInvalid, "opening %s: the URL names no host", shown)
		}
		return newGit(o, shown, newWeb(u, user, o)), nil
	case "ssh", "git+ssh", "ssh+git":
		if u.Hostname() == "" || strings.Trim(u.Path, "/") == "" {
			return nil, gitops.Errorf(gitops.SourceInvalid, "opening %s: want ssh://[USER@]HOST[:PORT]/PATH", shown)
		}
		return newGit(o, shown, shell{url: u, user: user.Username(), options: o}), nil
	case "file":
		if u.Host != "" && u.Host != "localhost" {
			return nil, gitops.Errorf(gitops.SourceInvalid, "opening %s: a file URL has no host: file:///PATH", shown)
		}
		return newGit(o, shown, local{path: filepath.FromSlash(u.Path)}), nil
	}
	return nil, elsewhere(gitops.Errorf(gitops.SourceInvalid, "opening %s: want https, http, ssh or file, not %s", shown, u.Scheme))
}

// elsewhere advises to name another place: nothing in the repository is wrong.
func elsewhere(e *gitops.Error) *gitops.Error {
	e.Try = "name a folder, a bare repository or a URL: reconciler -C FOLDER-OR-URL"
	return e
}

// bare reports whether a folder is a repository without a checkout.
func bare(path string) bool {
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(path, name)); err != nil {
			return false
		}
	}
	return true
}

// cause strips the path from an error of package os: the message names it already, as the user wrote it.
func cause(err error) error {
	if e, ok := err.(*fs.PathError); ok { //nolint:errorlint // only the outermost: what wraps it says more
		return e.Err
	}
	return err
}

// nudger delivers coalesced nudges.
type nudger chan struct{}

func (n nudger) nudge() {
	select {
	case n <- struct{}{}:
	default:
	}
}

// sleep waits for d or the end of ctx, and reports whether the time passed.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func invalid(file, format string, args ...any) *gitops.Error {
	return gitops.Errorf(gitops.SourceInvalid, format, args...).At(gitops.Origin{Position: gitops.Position{File: file}})
}
