package chart

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	release "helm.sh/helm/v4/pkg/release/v1"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
)

// Release is what a chart is rendered with.
type Release struct {
	Name, Namespace string
	// Values are texts of values files; what a later one says wins.
	Values [][]byte
	// KubeVersion is .Capabilities.KubeVersion; empty means that of the libraries. APIVersions are added to .Capabilities.APIVersions.
	KubeVersion string
	APIVersions []string
	// IncludeCRDs adds the contents of crds/. SkipHooks leaves all hooks out, SkipTests those of `helm test`.
	IncludeCRDs, SkipHooks, SkipTests bool
}

// Manifest is one document that a chart renders, or one file of its crds/.
type Manifest struct {
	// Path is the template, with the charts it is in: "web/charts/redis/templates/service.yaml".
	Path string
	Text string
}

// Render does what `helm template` does.
func (c *Chart) Render(r Release) ([]Manifest, error) {
	values, secrets, err := c.values(r)
	if err != nil {
		return nil, err
	}
	files, err := c.execute(values)
	if err != nil {
		return nil, hush(err, secrets)
	}
	for name := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			delete(files, name)
		}
	}
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, hush(err, secrets)
	}
	var out []Manifest
	if r.IncludeCRDs {
		for _, crd := range c.chart.CRDObjects() {
			out = append(out, Manifest{Path: crd.Filename, Text: string(crd.File.Data)})
		}
	}
	for _, m := range manifests {
		out = append(out, Manifest{Path: m.Name, Text: m.Content})
	}
	for _, h := range hooks {
		test := slices.Contains(h.Events, release.HookTest)
		if !r.SkipHooks && (!test || !r.SkipTests) {
			out = append(out, Manifest{Path: h.Path, Text: h.Manifest})
		}
	}
	return out, nil
}

// values checks that the chart can be rendered, and makes what its templates see.
func (c *Chart) values(r Release) (top common.Values, secrets []string, err error) {
	switch meta := c.chart.Metadata; {
	case meta.Type != "" && meta.Type != "application":
		return nil, nil, fmt.Errorf("it is a %s chart, which other charts use and nobody installs", meta.Type)
	case len(c.missing()) > 0:
		return nil, nil, fmt.Errorf("its charts/ lacks dependencies of Chart.yaml: %s", strings.Join(c.missing(), ", "))
	}
	if err := util.ValidateReleaseName(r.Name); err != nil {
		return nil, nil, fmt.Errorf("the release name %q: %w", r.Name, err)
	}
	given := map[string]any{}
	for _, text := range r.Values {
		one, err := loader.LoadValues(bytes.NewReader(text))
		if err != nil {
			return nil, nil, fmt.Errorf("reading values: %w", err)
		}
		given = loader.MergeMaps(given, one)
	}
	if err := util.ProcessDependencies(c.chart, given); err != nil {
		return nil, nil, fmt.Errorf("its dependencies: %w", err)
	}
	capabilities := common.DefaultCapabilities.Copy()
	if r.KubeVersion != "" {
		version, err := common.ParseKubeVersion(r.KubeVersion)
		if err != nil {
			return nil, nil, fmt.Errorf("kubeVersion %q: %w", r.KubeVersion, err)
		}
		capabilities.KubeVersion = *version
	}
	capabilities.APIVersions = slices.Concat(capabilities.APIVersions, r.APIVersions)
	if wants := c.chart.Metadata.KubeVersion; wants != "" && !util.IsCompatibleRange(wants, capabilities.KubeVersion.String()) {
		return nil, nil, fmt.Errorf("it wants Kubernetes %s, and this is %s", wants, capabilities.KubeVersion.Version)
	}
	options := common.ReleaseOptions{Name: r.Name, Namespace: r.Namespace, Revision: 1, IsInstall: true}
	// The schemas are checked here: Helm would fetch what they refer to.
	if top, err = commonutil.ToRenderValuesWithSchemaValidation(c.chart, given, options, capabilities, true); err != nil {
		return nil, nil, err
	}
	all, _ := top["Values"].(common.Values)
	return top, secretsOf(all), validate(c.chart, all)
}

// execute renders the templates, and again if something in them is not the same each time.
func (c *Chart) execute(values common.Values) (map[string]string, error) {
	chance := newChance()
	first, err := engine.Engine{CustomTemplateFuncs: chance.functions(counting)}.Render(c.chart, values)
	if err != nil || !chance.used {
		return first, explain(err)
	}
	second, err := engine.Engine{CustomTemplateFuncs: chance.functions(shifting)}.Render(c.chart, values)
	if err != nil {
		return nil, explain(err)
	}
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(first)) {
		if first[name] != second[name] && !strings.HasSuffix(name, "NOTES.txt") {
			differ = append(differ, name)
		}
	}
	if len(differ) == 0 {
		return first, nil
	}
	return nil, c.blame(values, chance, differ)
}

// TemplateName makes a release name of a nameTemplate.
func TemplateName(text string) (string, error) {
	functions := sprig.TxtFuncMap()
	for _, name := range append(chanceful(), "env", "expandenv", "getHostByName") {
		delete(functions, name)
	}
	t, err := template.New("nameTemplate").Funcs(functions).Parse(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if err := t.Execute(&b, nil); err != nil {
		return "", err
	}
	return b.String(), nil
}

// Archive is the name of the file that a chart of a repository comes in.
func Archive(name, version string) string { return path.Base(name) + "-" + version + ".tgz" }

var errNoObject = errors.New("want an object")
