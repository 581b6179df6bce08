package render

import (
	"encoding/base64"
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/kyaml/openapi"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// resetSchema forgets the schema that an overlay brought.
func resetSchema() { openapi.ResetOpenAPI() }

// explain turns an error of kustomize into problems with places.
func (b *builder) explain(err error) []*gitops.Error {
	top := b.survey.layers[0]
	if e, ok := errors.AsType[*gitops.Error](err); ok {
		return []*gitops.Error{e}
	}
	if m := regexp.MustCompile(`already registered id: ([^'\s]+)`).FindStringSubmatch(err.Error()); m != nil {
		return []*gitops.Error{b.twice(m[1])}
	}
	message := safeMessage(err, b.survey.secrets())
	at := b.blame(message)
	if at.File == "" {
		at = gitops.Position{File: top.file}
	}
	return []*gitops.Error{problem(gitops.RenderFailed, at.File, at.Line, "%s", message)}
}

// twice names both places of an object that an overlay gathers twice. id is kustomize's: Kind.version.group/name.namespace.
func (b *builder) twice(id string) *gitops.Error {
	kind, _, _ := strings.Cut(id, ".")
	_, rest, _ := strings.Cut(id, "/")
	objectName := rest
	if i := strings.LastIndex(rest, "."); i > 0 {
		objectName = rest[:i]
	}
	if kind == "ConfigMap" && objectName == FactsName {
		return problem(gitops.DuplicateObject, b.survey.layers[0].file, 0, "the overlay has a ConfigMap %s of its own; that name stands for the facts of the infrastructure", FactsName)
	}
	ref := gitops.Ref{Domain: gitops.K8s, Kind: kind, Name: objectName}
	var at []gitops.Position
	for _, file := range sortedKeys(b.survey.objects) {
		for _, o := range b.survey.objects[file] {
			if o.kind == kind && strings.Contains(objectName, o.name) {
				at = append(at, o.at)
				ref.Group, _, _ = strings.Cut(o.apiVersion, "/")
				if !strings.Contains(o.apiVersion, "/") {
					ref.Group = ""
				}
				ref.Namespace = o.namespace
			}
		}
	}
	if len(at) == 0 {
		at = append(at, gitops.Position{File: b.survey.layers[0].file})
	}
	others := make([]string, 0, len(at))
	for _, p := range at[1:] {
		others = append(others, p.String())
	}
	what := "it is gathered twice from this file: it is included by two ways"
	if len(others) > 0 {
		what = "it is also in " + strings.Join(others, " and ") + "; kustomize gathers each object once"
	}
	// The reference is told in words: what is incomplete is the overlay, not this one object.
	return problem(gitops.DuplicateObject, at[0].File, at[0].Line, "%s: %s", ref.Label(), what)
}

// blame finds the file that a message is about: the patch that found no target, or a file that is named.
func (b *builder) blame(message string) gitops.Position {
	for _, l := range b.survey.layers {
		for _, p := range l.patches {
			for _, doc := range p.docs {
				if n := failing(doc, message); n != nil {
					return gitops.Position{File: p.file, Line: p.line(n)}
				}
			}
		}
	}
	best := gitops.Position{}
	for _, file := range sortedKeys(b.survey.filesRead()) {
		if strings.Contains(message, path.Base(file)) && (best.File == "" || strings.Contains(message, file)) {
			best = gitops.Position{File: file}
		}
	}
	return best
}

// failing finds what of a patch a message is about: JSON patch errors name the path that is not there, merge patch errors the
// object that is not.
func failing(doc *yaml.Node, message string) *yaml.Node {
	before, _, _ := strings.Cut(message, ": missing value")
	for _, op := range items(doc) {
		if pointer := text(op, "path"); pointer != "" && strings.HasSuffix(before, " "+pointer) {
			return op
		}
	}
	kind, objectName := text(doc, "kind"), text(doc, "metadata", "name")
	if kind != "" && objectName != "" && strings.Contains(message, "no matches for Id "+kind+".") && strings.Contains(message, "/"+objectName+".") {
		return doc
	}
	return nil
}

// maxMessage keeps messages readable: kustomize repeats itself at every level of inclusion.
const maxMessage = 500

// safeMessage is what kustomize said, without what it quotes of files: whole configurations, patches, and any secret.
func safeMessage(err error, secrets []string) string {
	message := err.Error()
	for _, quote := range []*regexp.Regexp{
		regexp.MustCompile("(?s)with config: `.*`"), regexp.MustCompile(`(?s)(unable to parse SM or JSON patch) from \[.*\]`),
		regexp.MustCompile(`(?s)(patch appears to be .*?):.*`), regexp.MustCompile(`(?s)(namespace transformation produces ID conflict): .*`), regexp.MustCompile(`(?s)(trouble configuring builtin \w+)[^:]*$`),
	} {
		message = quote.ReplaceAllString(message, "$1")
	}
	message = strings.Join(strings.Fields(message), " ")
	for _, secret := range secrets {
		message = strings.ReplaceAll(message, secret, "***")
	}
	// What went wrong stands at the end; before it, how kustomize got there.
	if i := strings.LastIndex(message, "accumulation err="); i > 0 {
		if tail := strings.Index(message[i:], "': "); tail > 0 {
			message = message[i+tail+len("': "):]
		}
	}
	if len(message) > maxMessage {
		message = "... " + strings.ToValidUTF8(message[len(message)-maxMessage:], "")
	}
	return message
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// secrets are the values that must not appear in messages: those of encrypted files, Secrets and secret generators, plain and
// encoded.
func (s *survey) secrets() []string {
	out := s.view.secrets.values()
	add := func(value string) {
		for _, v := range append(strings.Split(value, "\n"), value) {
			if v = strings.TrimSpace(v); len(v) > 3 {
				out = append(out, v)
			}
		}
		if plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value)); err == nil && len(plain) > 3 {
			out = append(out, string(plain))
		}
	}
	for file, objects := range s.objects {
		if !slices.ContainsFunc(objects, func(o *object) bool { return o.kind == "Secret" }) {
			continue
		}
		s.reread(file, func(o *object, n *yaml.Node) {
			for _, key := range []string{"data", "stringData"} {
				if _, values := child(n, key); o.kind == "Secret" {
					eachValue(values, add)
				}
			}
		})
	}
	for _, l := range s.layers {
		_, list := child(l.root, "secretGenerator")
		for _, n := range items(list) {
			_, literals := child(n, "literals")
			for _, literal := range items(literals) {
				add(afterKey(literal.Value))
			}
			for _, key := range []string{"files", "envs"} {
				_, files := child(n, key)
				for _, f := range items(files) {
					if body, err := s.view.ReadFile(path.Join(l.folder, afterKey(f.Value))); err == nil {
						add(string(body))
					}
				}
			}
		}
	}
	return out
}

func eachValue(n *yaml.Node, do func(string)) {
	if n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 1; i < len(n.Content); i += 2 {
		do(n.Content[i].Value)
	}
}
