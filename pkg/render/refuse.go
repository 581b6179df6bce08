package render

import (
	"net/url"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// remote reports whether kustomize would take a path for something to download: a URL, git's scp form, or a bare
// github.com/... (https://github.com/kubernetes-sigs/kustomize/blob/master/examples/remoteBuild.md). It errs on the
// side of refusing: a local path that looks remote is fetched by kustomize too.
func remote(p string) bool {
	lower := strings.ToLower(strings.TrimSpace(p))
	lower = strings.TrimPrefix(lower, "git::")
	switch {
	case strings.Contains(lower, "://"), strings.HasPrefix(lower, "github.com/"), strings.HasPrefix(lower, "github.com:"):
		return true
	case regexp.MustCompile(`^[a-z][a-z0-9-]*@[^/]*[:/]`).MatchString(lower):
		return true
	}
	u, err := url.Parse(lower)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https")
}

func refuseRemote(p string, at gitops.Position) *gitops.Error {
	e := problem(gitops.RemoteRefused, at.File, at.Line, "%s is outside the repository", withoutUser(p))
	e.Try = "vendor it into the repository and name the folder"
	return e
}

// withoutUser removes credentials that somebody wrote into a URL.
func withoutUser(p string) string {
	return regexp.MustCompile(`(://)[^/@]*@`).ReplaceAllString(p, "$1")
}

// helmKeys are the fields of a kustomization that are about Helm charts.
func helmKeys() []string { return []string{"helmCharts", "helmGlobals", "helmChartInflationGenerator"} }

// plugin checks the configuration of a generator, transformer or validator: only kustomize's own may run.
// reached says that it sees what the overlay gathers, and so the facts.
func (s *survey) plugin(n *yaml.Node, folder, file string, reached bool) {
	at := gitops.Position{File: file, Line: n.Line}
	kind := text(n, "kind")
	switch {
	case kind == "HelmChartInflationGenerator":
		e := problem(gitops.PluginRefused, at.File, at.Line, "charts are rendered from the helmCharts of a kustomization, not from generators")
		e.Try = "list the chart in helmCharts"
		s.fail(e)
		return
	case text(n, "apiVersion") != "builtin":
		e := problem(gitops.PluginRefused, at.File, at.Line, "%s %s is a plugin; only kustomize's own generators and transformers (apiVersion: builtin) may run", text(n, "apiVersion"), kind)
		e.Try = "commit what the plugin makes"
		s.fail(e)
		return
	}
	s.pluginPaths(n, folder, file)
	_, list := child(n, "replacements")
	s.replacements(list, folder, file, reached)
}

// pluginPaths checks every file that a builtin's configuration names.
func (s *survey) pluginPaths(n *yaml.Node, folder, file string) {
	for _, key := range []string{"path", "env"} {
		if _, v := child(n, key); v != nil && v.Kind == yaml.ScalarNode {
			s.file(v, v.Value, folder, file)
		}
	}
	for _, key := range []string{"paths", "files", "envs"} {
		_, list := child(n, key)
		for _, v := range items(list) {
			p := v.Value
			if key == "files" {
				p = afterKey(p)
			}
			// A patch may be given inline where a path may stand.
			if strings.Contains(p, "\n") {
				continue
			}
			if full := s.file(v, p, folder, file); key == "files" {
				s.view.secrets.payload(full)
			}
		}
	}
}

// afterKey is the path of "key=path" or "path".
func afterKey(s string) string {
	if _, p, ok := strings.Cut(s, "="); ok {
		return p
	}
	return s
}
