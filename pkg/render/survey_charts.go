package render

import (
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render/chart"
)

// charts checks the charts of a kustomization, as far as that needs no chart.
func (s *survey) charts(l *layer) {
	if home := l.home(); path.IsAbs(home) {
		_, globals := child(l.root, "helmGlobals")
		s.fail(problem(gitops.RenderFailed, l.file, globals.Line, "chartHome %s is an absolute path; name it from the folder of this file", home))
	}
	entries := chartEntries(l.root)
	for i, c := range l.spec.HelmCharts {
		s.chart(l, entries[i], c)
	}
}

func (s *survey) chart(l *layer, n *yaml.Node, c types.HelmChart) {
	fail := func(try, format string, args ...any) {
		e := problem(gitops.RenderFailed, l.file, n.Line, format, args...)
		e.Try = try
		s.fail(e)
	}
	switch {
	case c.Name == "":
		fail("", "the chart has no name")
		return
	case strings.HasPrefix(c.Name, "-"), path.IsAbs(c.Name), slices.Contains(strings.Split(c.Name, "/"), ".."):
		fail("", "%q cannot be the name of a chart", c.Name)
		return
	case c.ReleaseName != "" && c.NameTemplate != "":
		fail("", "chart %s has a releaseName and a nameTemplate; want one of them", c.Name)
	case c.ReleaseName == "" && c.NameTemplate == "":
		fail("set releaseName", "chart %s has no releaseName: helm would make one of the time of day, another one each time", c.Name)
	}
	if !slices.Contains([]string{"", chart.Override, chart.Merge, chart.Replace}, c.ValuesMerge) {
		fail("", "chart %s: valuesMerge is %q; want %s, %s or %s", c.Name, c.ValuesMerge, chart.Override, chart.Merge, chart.Replace)
	}
	if _, file := child(n, "valuesFile"); file != nil && file.Value != "" {
		s.file(file, file.Value, l.folder, l.file)
	} else if _, old := child(n, "values"); old != nil && old.Value != "" {
		s.file(old, old.Value, l.folder, l.file)
	}
	_, more := child(n, "additionalValuesFiles")
	for _, file := range items(more) {
		s.file(file, file.Value, l.folder, l.file)
	}
}
