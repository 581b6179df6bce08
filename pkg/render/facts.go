package render

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/kyaml/utils"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// FactsName is the name of the virtual ConfigMap that overlays take facts of the infrastructure from by kustomize
// replacements. It exists while an overlay is rendered and is never in the result.
const FactsName = "cluster-facts"

// Names of facts (see docs/facts.md); roles have names of their own.
func factNames() []string {
	return []string{
		"account", "certificateAuthority", "clusterArn", "clusterName", "endpoint", "kubeDNSClusterIP", "kubernetesMinor",
		"kubernetesVersion", "oidcIssuer", "oidcProvider", "partition", "region", "securityGroup", "serviceCIDR",
		"subnetsPrivate", "subnetsPublic", "vpcId",
	}
}

const rolePrefix = "role."

// Unknown is what stands in a rendered object for a fact that is not known yet.
func Unknown(key string) string { return "‹known after apply: " + key + "›" }

// references are the facts that an overlay uses.
type references struct {
	keys map[string]*reference
	// all is set by references that are not to single facts.
	all bool
}

type reference struct {
	at gitops.Position
	// parts maps the delimiters that the fact is split by to how many parts are needed.
	parts map[string]int
}

// replacements reads a list of replacements: which files they are in, and which facts they use. reached says that they see what
// the overlay itself gathers, and so the facts.
func (s *survey) replacements(list *yaml.Node, folder, file string, reached bool) {
	for _, n := range items(list) {
		if _, p := child(n, "path"); p != nil && p.Value != "" {
			s.replacementFile(s.file(p, p.Value, folder, file), reached)
		}
		s.replacement(n, file, reached)
	}
}

func (s *survey) replacementFile(full string, reached bool) {
	if full == "" {
		return
	}
	docs, ok := s.read(full)
	if !ok {
		return
	}
	for _, doc := range docs {
		if doc.Kind != yaml.SequenceNode {
			s.replacement(doc, full, reached)
		}
		for _, n := range items(doc) {
			s.replacement(n, full, reached)
		}
	}
}

// copies notes the fields that a replacement copies something into.
func (s *survey) copies(n *yaml.Node) {
	_, targets := child(n, "targets")
	for _, target := range items(targets) {
		_, paths := child(target, "fieldPaths")
		for _, p := range items(paths) {
			field := anyField
			for _, step := range utils.SmarterPathSplitter(p.Value, ".") {
				// A step may also choose items of a list.
				if _, err := strconv.Atoi(step); err != nil && step != "*" && step != "-" && !strings.HasPrefix(step, "[") {
					field = step
				}
			}
			s.view.secrets.copied(field)
		}
	}
}

// replacement notes the fact that one uses, if it does.
func (s *survey) replacement(n *yaml.Node, file string, reached bool) {
	_, source := child(n, "source")
	if text(source, "name") != FactsName || text(source, "kind") != "ConfigMap" && text(source, "kind") != "" {
		s.copies(n)
		return
	}
	at := gitops.Position{File: file, Line: source.Line}
	if !reached {
		e := problem(gitops.RenderFailed, at.File, at.Line, "%s can be used in the overlay itself and in components it includes, not in a base: replacements see only what their own kustomization has gathered", FactsName)
		e.Try = "move the replacement into the overlay or into a Component"
		s.fail(e)
		return
	}
	steps := utils.SmarterPathSplitter(text(source, "fieldPath"), ".")
	if len(steps) != 2 || steps[0] != "data" {
		s.fail(problem(gitops.RenderFailed, at.File, at.Line, "the fieldPath %q names no fact: want data.KEY, with dots in KEY escaped (data.role\\.NAMESPACE\\.NAME)", text(source, "fieldPath")))
		return
	}
	key := steps[1]
	if !slices.Contains(factNames(), key) && !roleFact(key) {
		s.fail(problem(gitops.RenderFailed, at.File, at.Line, "%s has no fact %q; there are %s and role.NAMESPACE.SERVICEACCOUNT", FactsName, key, strings.Join(factNames(), ", ")))
		return
	}
	r := s.facts.keys[key]
	if r == nil {
		r = &reference{at: at, parts: map[string]int{}}
		s.facts.keys[key] = r
	}
	_, options := child(source, "options")
	if delimiter := text(options, "delimiter"); delimiter != "" {
		index := 0
		_, _ = fmt.Sscanf(text(options, "index"), "%d", &index)
		r.parts[delimiter] = max(r.parts[delimiter], min(index, 64)+1)
	}
}

func roleFact(key string) bool {
	namespace, name, ok := strings.Cut(strings.TrimPrefix(key, rolePrefix), ".")
	return strings.HasPrefix(key, rolePrefix) && ok && namespace != "" && name != ""
}

// vars are the old form of replacements; which fact they use is not worked out.
func (s *survey) vars(l *layer) {
	_, list := child(l.root, "vars")
	for _, n := range items(list) {
		s.view.secrets.copied(anyField)
		if text(n, "objref", "name") == FactsName {
			s.facts.all = true
		}
	}
}

// used tells which facts take part in a render, "" for those that are not known.
func (r references) used(facts gitops.Facts) gitops.Facts {
	out := gitops.Facts{}
	if r.all {
		for k, v := range facts {
			out[k] = v
		}
	}
	for key := range r.keys {
		out[key] = facts[key]
	}
	return out
}

// unknown lists the facts that are used and not known, sorted.
func (r references) unknown(facts gitops.Facts) []string {
	var out []string
	for key := range r.keys {
		if facts[key] == "" {
			out = append(out, key)
		}
	}
	if r.all {
		for _, key := range factNames() {
			if facts[key] == "" && !slices.Contains(out, key) {
				out = append(out, key)
			}
		}
	}
	slices.Sort(out)
	return out
}

// configMap is the virtual ConfigMap: the facts, and a mark for each that is used and not known.
func (r references) configMap(facts gitops.Facts) ([]byte, error) {
	data := map[string]string{}
	for k, v := range facts {
		if v != "" {
			data[k] = v
		}
	}
	for _, key := range r.unknown(facts) {
		data[key] = r.mark(key)
	}
	return json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "data": data,
		"metadata": map[string]any{"name": FactsName, "annotations": map[string]string{"config.kubernetes.io/local-config": "true"}},
	})
}

// mark is what stands for an unknown fact. Where the fact is split, the mark has as many parts as are asked for.
func (r references) mark(key string) string {
	out := Unknown(key)
	if ref := r.keys[key]; ref != nil {
		for delimiter, parts := range ref.parts {
			one := out
			for range parts - 1 {
				out += delimiter + one
			}
		}
	}
	return out
}

// undeclared finds the roles that no entry of the ClusterConfig will ever make.
func (r references) undeclared(c gitops.Cluster, facts gitops.Facts) []*gitops.Error {
	var out []*gitops.Error
	for _, key := range r.unknown(facts) {
		ref := r.keys[key]
		if ref == nil || !roleFact(key) || c.Config.Spec == nil || declared(c.Config.Spec, strings.TrimPrefix(key, rolePrefix)) {
			continue
		}
		e := problem(gitops.RenderFailed, ref.at.File, ref.at.Line, "the fact %s will never be known: the ClusterConfig has no iam.serviceAccounts or iam.podIdentityAssociations entry for it", key)
		e.Try = "add the entry to " + c.Config.From.File
		out = append(out, e)
	}
	return out
}

// declared reports whether a ClusterConfig makes a role for "NAMESPACE.NAME". Roles that eksctl makes by itself, for addons,
// are taken to be possible wherever addons may get them.
func declared(config gitops.Tree, account string) bool {
	for _, flag := range [][]string{{"addonsConfig", "autoApplyPodIdentityAssociations"}, {"iam", "autoCreatePodIdentityAssociations"}} {
		if on, _ := gitops.At(config, flag...); on == true {
			return true
		}
	}
	var entries []any
	entries = append(entries, gitops.ListAt(config, "iam", "serviceAccounts")...)
	entries = append(entries, gitops.ListAt(config, "iam", "podIdentityAssociations")...)
	for _, a := range gitops.ListAt(config, "addons") {
		if addon, ok := a.(gitops.Tree); ok {
			if addon["useDefaultPodIdentityAssociations"] == true {
				return true
			}
			entries = append(entries, gitops.ListAt(addon, "podIdentityAssociations")...)
		}
	}
	for _, e := range entries {
		entry, ok := e.(gitops.Tree)
		if !ok {
			continue
		}
		irsa := gitops.StringAt(entry, "metadata", "namespace") + "." + gitops.StringAt(entry, "metadata", "name")
		identity := gitops.StringAt(entry, "namespace") + "." + gitops.StringAt(entry, "serviceAccountName")
		if account == irsa || account == identity {
			return true
		}
	}
	return false
}
