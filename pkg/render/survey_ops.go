package render

import (
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// operators checks what changes objects: patches, replacements, configurations.
func (s *survey) operators(l *layer) {
	for _, key := range []string{"patches", "patchesJson6902"} {
		_, list := child(l.root, key)
		for _, n := range items(list) {
			_, p := child(n, "path")
			_, inline := child(n, "patch")
			switch {
			case p != nil && p.Value != "":
				s.patchFile(s.file(p, p.Value, l.folder, l.file))
			case inline != nil && inline.Value != "":
				s.patch(l.file, textLine(inline), []byte(inline.Value))
			}
		}
	}
	_, list := child(l.root, "patchesStrategicMerge")
	for _, n := range items(list) {
		if strings.Contains(n.Value, "\n") {
			s.patch(l.file, textLine(n), []byte(n.Value))
		} else {
			s.patchFile(s.file(n, n.Value, l.folder, l.file))
		}
	}
	for _, key := range []string{"configurations", "crds"} {
		_, list := child(l.root, key)
		for _, n := range items(list) {
			s.file(n, n.Value, l.folder, l.file)
		}
	}
	_, list = child(l.root, "replacements")
	s.replacements(list, l.folder, l.file, l.shares)
	s.vars(l)
}

func (s *survey) patchFile(file string) {
	if file == "" {
		return
	}
	body, err := s.view.ReadFile(file)
	if err != nil {
		s.fail(unreadable(file, err))
		return
	}
	s.patch(file, 0, body)
}

// patch checks that a patch is one, so that what is wrong has a line: kustomize would quote the whole patch instead.
func (s *survey) patch(file string, before int, body []byte) {
	docs, failed := documents(file, body)
	if failed != nil {
		if failed.From.Line += before; failed.From.Line == 0 {
			failed.From.Line = before + 1
		}
		s.fail(failed)
	}
	for _, doc := range docs {
		for _, n := range everyNode(doc) {
			n.Line += before
		}
		s.problems = append(s.problems, twice(file, doc)...)
		if doc.Kind == yaml.ScalarNode {
			s.fail(problem(gitops.RenderFailed, file, doc.Line, "the patch is neither an object to merge nor a list of JSON patch operations"))
		}
	}
}

// textLine is the line before the first line of text that stands inside a file: a block begins after its indicator.
func textLine(n *yaml.Node) int {
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return n.Line
	}
	return n.Line - 1
}

// generators checks what makes objects, and the plugins.
func (s *survey) generators(l *layer) {
	for _, key := range []string{"configMapGenerator", "secretGenerator"} {
		_, list := child(l.root, key)
		for _, n := range items(list) {
			if _, env := child(n, "env"); env != nil && env.Value != "" {
				s.file(env, env.Value, l.folder, l.file)
			}
			s.literals(l, n)
			_, files := child(n, "files")
			for _, f := range items(files) {
				s.view.secrets.payload(s.file(f, afterKey(f.Value), l.folder, l.file))
			}
			_, envs := child(n, "envs")
			for _, f := range items(envs) {
				s.file(f, f.Value, l.folder, l.file)
			}
		}
	}
	for _, key := range []string{"generators", "transformers", "validators"} {
		_, list := child(l.root, key)
		for _, n := range items(list) {
			s.plugins(l, n)
		}
	}
}

// literals checks the form of literals; their text is nobody's business.
func (s *survey) literals(l *layer, n *yaml.Node) {
	_, list := child(n, "literals")
	for i, literal := range items(list) {
		if !strings.Contains(literal.Value, "=") {
			s.fail(problem(gitops.RenderFailed, l.file, literal.Line, "literals[%d] of %s has no equals sign: want KEY=VALUE", i, text(n, "name")))
		}
	}
}

// plugins checks one entry of generators, transformers or validators: inline, a file, or a folder that renders configurations.
func (s *survey) plugins(l *layer, n *yaml.Node) {
	if strings.Contains(n.Value, "\n") {
		docs, failed := documents(l.file, []byte(n.Value))
		if failed != nil {
			s.fail(failed.At(gitops.Origin{Position: gitops.Position{File: l.file, Line: textLine(n) + failed.From.Line}}))
		}
		for _, doc := range docs {
			for _, c := range everyNode(doc) {
				c.Line += textLine(n) // lines of inline text count from its own beginning
			}
			s.problems = append(s.problems, twice(l.file, doc)...)
			s.plugin(doc, l.folder, l.file, l.shares)
		}
		return
	}
	full, isFolder, ok := s.resolve(n, n.Value, l.folder, l.file)
	if !ok {
		return
	}
	if !isFolder {
		docs, ok := s.read(full)
		if !ok {
			return
		}
		for _, doc := range docs {
			s.plugin(doc, path.Dir(full), full, l.shares)
		}
		return
	}
	s.computed(l, n, full)
}

// computed checks configurations that a kustomization renders: first everything that it reads, then what comes out.
func (s *survey) computed(l *layer, n *yaml.Node, folder string) {
	inner := newSurvey(s.view)
	inner.visiting = s.visiting
	inner.kustomization(folder, gitops.Position{File: l.file, Line: n.Line}, nil, false)
	s.problems = append(s.problems, inner.problems...)
	s.schema = s.schema || inner.schema
	if len(inner.problems) > 0 {
		return
	}
	for _, layer := range inner.layers {
		if len(layer.spec.HelmCharts) > 0 {
			s.fail(problem(gitops.PluginRefused, layer.file, 0, "charts make objects, not configurations of plugins"))
			return
		}
	}
	out, err := kustomize(s.view, folder)
	if err != nil {
		s.fail(problem(gitops.RenderFailed, l.file, n.Line, "rendering %s: %s", n.Value, safeMessage(err, nil)))
		return
	}
	for _, r := range out.Resources() {
		body, err := r.AsYAML()
		if err != nil {
			continue
		}
		docs, _ := documents(l.file, body)
		for _, doc := range docs {
			for _, c := range everyNode(doc) {
				c.Line = n.Line
			}
			s.plugin(doc, l.folder, l.file, l.shares)
		}
	}
}

func everyNode(n *yaml.Node) []*yaml.Node {
	out := []*yaml.Node{n}
	for _, c := range n.Content {
		out = append(out, everyNode(c)...)
	}
	return out
}
