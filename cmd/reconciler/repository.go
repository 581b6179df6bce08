package main

import (
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"

	"github.com/eks-gitops/reconciler/pkg/render"
	"github.com/eks-gitops/reconciler/pkg/render/chart"
	"github.com/eks-gitops/reconciler/pkg/source"
)

// openSource opens the repository that -C and --rev name.
func (a *app) openSource() (source.Source, error) {
	location, err := a.location()
	if err != nil {
		return nil, err
	}
	return source.Open(source.Options{
		Location: location, Rev: a.rev, Interval: a.poll, Jitter: rand.Float64, Cache: a.cacheFolder("git"),
		Credentials: a.credentials(), Proxy: http.ProxyFromEnvironment, Log: a.log(),
	})
}

// openRenderer wires the renderer, which fetches the Helm charts that are not in the repository and opens encrypted files.
func (a *app) openRenderer() *render.Renderer {
	return render.New(render.Options{
		Keys: a.decryption(), Sealed: a.sealed,
		Charts: chart.Options{
			Cache: a.cacheFolder("charts"), LoginFile: a.charts.loginFile, CAFile: a.charts.caFile, Proxy: http.ProxyFromEnvironment, Now: a.now,
		},
	})
}

// cacheFolder keeps what was fetched across restarts (XDG Base Directory Specification); without a home it stays in memory.
func (a *app) cacheFolder(what string) string {
	dir := a.getenv("XDG_CACHE_HOME")
	if dir == "" && a.getenv("HOME") != "" {
		dir = filepath.Join(a.getenv("HOME"), ".cache")
	}
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "reconciler", what)
}

// credentials are files, which are read again whenever they change, and the ssh agent of the session.
func (a *app) credentials() source.Credentials {
	return source.Credentials{
		Username: a.git.username, PasswordFile: a.git.passwordFile, TokenFile: a.git.tokenFile, CAFile: a.git.caFile,
		SSHKeyFile: a.git.sshKeyFile, KnownHostsFile: a.knownHosts(), SSHAgent: a.getenv("SSH_AUTH_SOCK"),
	}
}

// knownHosts is the file with the host keys of ssh servers: the flag's, or the user's own where there is one.
func (a *app) knownHosts() string {
	if a.git.knownHostsFile != "" {
		return a.git.knownHostsFile
	}
	own := filepath.Join(a.getenv("HOME"), ".ssh", "known_hosts")
	if _, err := os.Stat(own); err != nil {
		return ""
	}
	return own
}
