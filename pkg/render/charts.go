package render

import (
	"cmp"
	"encoding/json"
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render/chart"
)

// Kustomize renders charts by running a helm program. Here they are rendered before kustomize starts, and what came out is put
// where kustomize would put it: a Component that is included before all others adds objects after resources and generators.

// virtualCharts is the folder of that Component, beside the kustomization that has the charts.
const (
	virtualCharts  = ".reconciler-charts"
	virtualObjects = virtualCharts + "/objects.yaml"
)

// inflated is what the charts of one kustomization came to.
type inflated struct {
	objects []byte
	// templates are those that made an object.
	templates []string
	// namespaces are those that the charts got, for a kustomization that is included by several ways.
	namespaces []string
}

// inflate renders the charts of all kustomizations.
func (b *builder) inflate(out *rendered) []*gitops.Error {
	var problems []*gitops.Error
	b.charts = map[string]*inflated{}
	for _, l := range b.survey.layers {
		entries := chartEntries(l.root)
		done, again := b.charts[l.folder]
		made := &inflated{}
		for i, spec := range l.spec.HelmCharts {
			at := gitops.Position{File: l.file, Line: entries[i].Line}
			if b.configOnly {
				problems = append(problems, problem(gitops.ConfigInvalid, at.File, at.Line, "the kustomization of a cluster's folder renders its ClusterConfig, and no charts"))
				continue
			}
			spec.Namespace = l.chartNamespace(spec)
			made.namespaces = append(made.namespaces, spec.Namespace)
			if again {
				continue
			}
			one := &inflation{builder: b, layer: l, spec: spec, at: at}
			if failed := one.run(made); failed != nil {
				out.retry = out.retry || failed.Reason == gitops.ChartUnavailable
				problems = append(problems, failed)
			}
		}
		switch {
		case again && !slices.Equal(done.namespaces, made.namespaces):
			e := problem(gitops.RenderFailed, l.file, entries[0].Line, "the charts are included twice, with different namespaces: %s and %s", strings.Join(done.namespaces, ", "), strings.Join(made.namespaces, ", "))
			e.Try = "give each chart a namespace"
			problems = append(problems, e)
		case !again && len(entries) > 0:
			b.charts[l.folder] = made
		}
	}
	if len(b.charts) > 0 {
		out.templates, out.kubernetes = map[string][]string{}, kubernetesOf(b.cluster)
	}
	for folder, made := range b.charts {
		out.templates[folder] = made.templates
	}
	return problems
}

// chartNamespace is the namespace that a chart is rendered for: its own, or that of the closest kustomization around it.
func (l *layer) chartNamespace(spec types.HelmChart) string {
	if spec.Namespace != "" {
		return spec.Namespace
	}
	for ; l != nil; l = l.parent {
		if l.spec.Namespace != "" {
			return l.spec.Namespace
		}
	}
	return "default"
}

// inflation renders one chart.
type inflation struct {
	*builder
	layer *layer
	spec  types.HelmChart
	at    gitops.Position
	// files are those of a chart that is in the repository.
	folder string
	files  []chart.File
	// secret says that a values file is encrypted; other gives its values other ones.
	secret, other bool
}

func (i *inflation) fail(format string, args ...any) *gitops.Error {
	e := problem(gitops.RenderFailed, i.at.File, i.at.Line, format, args...)
	e.Err = errors.New("chart " + i.spec.Name + ": " + e.Err.Error())
	return e
}

func (i *inflation) run(into *inflated) *gitops.Error { return i.unsealed(i.render(into)) }

func (i *inflation) render(into *inflated) *gitops.Error {
	c, failed := i.find()
	if failed != nil {
		return failed
	}
	values, failed := i.values(c)
	if failed != nil {
		return failed
	}
	name := i.spec.ReleaseName
	if name == "" {
		var err error
		if name, err = chart.TemplateName(i.spec.NameTemplate); err != nil {
			return i.fail("nameTemplate: %w", err)
		}
	}
	var versions []string
	for _, v := range i.spec.ApiVersions {
		versions = append(versions, strings.Split(v, ",")...)
	}
	kubernetes := i.spec.KubeVersion
	if kubernetes == "" {
		kubernetes = kubernetesOf(i.cluster)
	}
	release := chart.Release{
		Name: name, Namespace: i.spec.Namespace, Values: values, KubeVersion: kubernetes, APIVersions: versions,
		IncludeCRDs: i.spec.IncludeCRDs, SkipHooks: i.spec.SkipHooks, SkipTests: i.spec.SkipTests,
	}
	manifests, err := c.Render(release)
	var unstable *chart.Unstable
	if errors.As(err, &unstable) {
		e := i.fail("%w", err)
		e.Try = "give the chart the value that it makes up (its values.yaml tells which), or one that switches this off: docs/charts.md"
		return e
	}
	if err != nil {
		return i.fail("%s", safeMessage(err, nil))
	}
	if failed := i.trace(manifests, release); failed != nil {
		return failed
	}
	return i.add(c, manifests, into)
}

// find loads the chart from the repository that is rendered, or else from the chart's.
func (i *inflation) find() (*chart.Chart, *gitops.Error) {
	home := cmp.Or(i.layer.home(), types.HelmDefaultHome)
	i.folder = path.Join(i.layer.folder, home)
	if i.spec.Version != "" && i.spec.Repo != "" {
		i.folder = path.Join(i.folder, i.spec.Name+"-"+i.spec.Version)
	}
	i.folder = path.Join(i.folder, i.spec.Name)
	info, err := i.view.stat(i.folder)
	var c *chart.Chart
	switch {
	case err == nil && info.IsDir():
		if i.files, err = i.view.chart(i.folder, i.isValues); err == nil {
			c, err = chart.Load(i.files)
		}
	case err != nil && broken(err):
		return nil, unreadable(i.folder, err)
	case i.spec.Repo == "":
		return nil, i.fail("there is none in %s, and no repo to fetch it from", i.folder)
	default:
		body, failed := i.fetch()
		if failed != nil {
			return nil, failed.At(gitops.Origin{Position: i.at})
		}
		i.folder = path.Join(i.layer.folder, chart.Archive(i.spec.Name, i.spec.Version)) + "!"
		c, err = chart.Open(body)
	}
	if err != nil {
		if e, ok := errors.AsType[*gitops.Error](err); ok {
			return nil, e
		}
		return nil, i.fail("%s", safeMessage(err, nil))
	}
	return c, nil
}

func (i *inflation) fetch() ([]byte, *gitops.Error) {
	source := chart.Source{Repo: i.spec.Repo, Name: i.spec.Name, Version: i.spec.Version}
	if err := source.Check(); err != nil {
		e, _ := errors.AsType[*gitops.Error](err)
		return nil, i.fail("%w", e.Err)
	}
	return i.pull(source)
}

// home is helmGlobals.chartHome.
func (l *layer) home() string {
	if l.spec.HelmGlobals == nil {
		return ""
	}
	return l.spec.HelmGlobals.ChartHome
}

// values are the values files that helm would be given: one of the kustomization or the chart's own, changed by the inline values, and
// the additional ones.
func (i *inflation) values(c *chart.Chart) ([][]byte, *gitops.Error) {
	first := c.Values()
	if i.spec.ValuesFile != "" {
		var failed *gitops.Error
		if first, failed = i.read(i.spec.ValuesFile); failed != nil {
			return nil, failed
		}
	}
	merged, err := chart.MergeValues(first, i.spec.ValuesInline, i.spec.ValuesMerge)
	if err != nil {
		return nil, i.fail("%s", firstLine(err))
	}
	out := [][]byte{merged}
	for _, file := range i.spec.AdditionalValuesFiles {
		body, failed := i.read(file)
		if failed != nil {
			return nil, failed
		}
		out = append(out, body)
	}
	return out, nil
}

// add turns manifests into objects, and notes where each comes from.
func (i *inflation) add(c *chart.Chart, manifests []chart.Manifest, into *inflated) *gitops.Error {
	factory := provider.NewDefaultDepProvider().GetResourceFactory()
	file := path.Join(i.layer.folder, virtualObjects)
	for _, m := range manifests {
		origin := i.origin(c, m.Path)
		objects, err := factory.SliceFromBytes([]byte(m.Text))
		if err != nil {
			what, _, _ := strings.Cut(safeMessage(err, nil), " in object {")
			return i.fail("%s: %s", origin, what)
		}
		if len(objects) > 0 {
			into.templates = append(into.templates, origin)
			i.layer.gathers(origin)
		}
		for _, r := range objects {
			// Kustomize leaves the namespaces of what it marks so to the chart.
			if err := r.PipeE(kyaml.SetAnnotation(konfig.HelmGeneratedAnnotation, "true")); err != nil {
				return i.fail("%s: %w", origin, err)
			}
			said, err := r.RNode.String()
			if err != nil {
				return i.fail("%s: %w", origin, err)
			}
			text := []byte(said)
			into.objects = append(append(into.objects, "---\n"...), text...)
			docs, _ := documents(origin, text)
			for _, doc := range docs {
				if again := twice(origin, doc); len(again) > 0 {
					return i.fail("%s: %w", origin, again[0].Err)
				}
				eachObject(origin, doc, func(*gitops.Error) {}, func(o *object, _ *yaml.Node) {
					o.at.Line = 0 // what a template writes has no line of its own
					i.survey.objects[file] = append(i.survey.objects[file], o)
				})
			}
		}
	}
	return nil
}

// gathers notes that objects of a template pass through a kustomization, and those around it.
func (l *layer) gathers(template string) {
	for ; l != nil; l = l.parent {
		l.reaches[template] = true
	}
}

// origin is where a template is: a file of the repository, or of an archive ("web-1.2.3.tgz!templates/service.yaml").
func (i *inflation) origin(c *chart.Chart, template string) string {
	inside := strings.TrimPrefix(template, c.Name()+"/")
	if strings.HasSuffix(i.folder, "!") {
		return i.folder + inside
	}
	if sub, ok := strings.CutPrefix(inside, "charts/"); ok {
		name, rest, _ := strings.Cut(sub, "/")
		for _, f := range i.files {
			if base := path.Base(f.Name); path.Dir(f.Name) == "charts" && strings.HasPrefix(base, name+"-") && strings.HasSuffix(base, ".tgz") {
				return path.Join(i.folder, f.Name) + "!" + rest
			}
		}
	}
	return path.Join(i.folder, inside)
}

// kubernetesOf is the version that a ClusterConfig asks for, as charts want it; "" when it leaves that to eksctl.
func kubernetesOf(c gitops.Cluster) string {
	version := gitops.StringAt(c.Config.Spec, "metadata", "version")
	if !regexp.MustCompile(`^\d+\.\d+$`).MatchString(version) {
		return ""
	}
	return "v" + version + ".0"
}

// putCharts makes a kustomization that has the objects of its charts in their place. Where there are further generators, which may
// change what charts made, that is before all generators.
func (b *builder) putCharts(l *layer, virtual map[string][]byte) error {
	made := b.charts[l.folder]
	if made == nil {
		return nil
	}
	folder, file := l.folder, l.file
	if l.parent != nil {
		// Kustomize asks for the files of what is included by their real names.
		real, err := b.view.real(l.folder)
		if err != nil {
			return err
		}
		folder, file = real, path.Join(real, path.Base(l.file))
	}
	body, err := b.view.ReadFile(l.file)
	if err != nil {
		return err
	}
	fields, err := fieldsOf(body)
	if err != nil {
		return err
	}
	for _, key := range helmKeys() {
		delete(fields, fields.key(key))
	}
	virtual[path.Join(folder, virtualObjects)] = made.objects
	if _, more := fields[fields.key("generators")]; more {
		err = fields.insert("resources", virtualObjects, false)
	} else {
		virtual[path.Join(folder, virtualCharts, "kustomization.yaml")] = []byte("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [objects.yaml]\n")
		err = fields.insert("components", virtualCharts, true)
	}
	if err != nil {
		return err
	}
	virtual[file], err = json.Marshal(fields)
	return err
}

// generatedByChart is what kustomize itself says of the origin of such an object.
func (b *builder) generatedByChart(from *resource.Origin) *resource.Origin {
	if from == nil || path.Base(from.Path) != path.Base(virtualObjects) || path.Base(path.Dir(from.Path)) != virtualCharts {
		return nil
	}
	folder := path.Dir(path.Dir(from.Path))
	for _, l := range b.survey.layers {
		if l.folder == path.Join(b.folder, folder) {
			return &resource.Origin{
				ConfiguredIn: path.Join(folder, path.Base(l.file)),
				ConfiguredBy: kyaml.ResourceIdentifier{TypeMeta: kyaml.TypeMeta{APIVersion: "builtin", Kind: "HelmChartInflationGenerator"}},
			}
		}
	}
	return nil
}

func chartEntries(root *yaml.Node) []*yaml.Node {
	_, list := child(root, "helmCharts")
	_, old := child(root, "helmChartInflationGenerator")
	return slices.Concat(items(list), items(old))
}
