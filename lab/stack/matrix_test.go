package stack_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/lab/stack"
	"github.com/eks-gitops/reconciler/pkg/gitops"
)

var update = flag.Bool("update", false, "write the matrix into addons/README.md")

const (
	matrixBegins = "<!-- The table is generated: make generate. -->\n"
	matrixEnds   = "<!-- The end of what is generated. -->\n"
)

// TestMatrix checks the table in addons/README.md: images and Pod Security levels are read from what the bases render, Kubernetes
// minors from their READMEs, IAM actions from both the READMEs and the sample ClusterConfigs.
func TestMatrix(t *testing.T) {
	t.Parallel()
	name := filepath.Join(stack.Root(t), "addons", "README.md")
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(content), matrixBegins)
	_, after, ends := strings.Cut(rest, matrixEnds)
	if !ok || !ends {
		t.Fatal("addons/README.md has no place for the table")
	}
	want := before + matrixBegins + matrix(t) + matrixEnds + after
	if t.Failed() || want == string(content) {
		return
	}
	if !*update {
		t.Fatalf("addons/README.md is not what the bases say; run make generate. It would be:\n%s", want)
	}
	if err := os.WriteFile(name, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}

func matrix(t *testing.T) string {
	t.Helper()
	readmes, err := filepath.Glob(filepath.Join(stack.Root(t), "addons", "*", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := bases(t)
	identities := associations(t)
	var out strings.Builder
	out.WriteString("| addon | images | Kubernetes | IAM actions | Pod Security |\n|---|---|---|---|---|\n")
	for _, file := range readmes {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		addon := filepath.Base(filepath.Dir(file))
		r := readme{t: t, addon: addon, text: string(text)}
		images, level, actions := "an EKS addon", r.paragraph("Pod Security"), r.actions()
		if i := slices.IndexFunc(known, func(b base) bool { return b.path == "addons/"+addon }); i >= 0 {
			var components []string
			if slices.Contains(known[i].components, "cluster-facts") {
				components = []string{"cluster-facts"}
			}
			items := stack.Render(t, known[i].path, components...)
			images, level = imagesOf(items), levelOf(t, items)
			for _, item := range items {
				if item.Ref.Kind == "ServiceAccount" {
					actions = append(actions, identities[item.Ref.Namespace+"/"+item.Ref.Name]...)
				}
			}
		}
		level, _, _ = strings.Cut(strings.TrimRight(strings.ToLower(level), "."), " ")
		_, _ = fmt.Fprintf(&out, "| [%s](%s) | %s | %s | %s | %s |\n", addon, addon, images, r.minors(), listed(actions), strings.TrimRight(level, ",.:;"))
	}
	return out.String()
}

// readme is what an addon says of itself.
type readme struct {
	t           *testing.T
	addon, text string
}

// paragraph is the text after a bold lead word, up to the next one or the paragraph's end.
func (r readme) paragraph(lead string) string {
	r.t.Helper()
	_, rest, ok := strings.Cut(r.text, "**"+lead+".**")
	if !ok {
		r.t.Errorf("addons/%s/README.md says nothing about %q", r.addon, lead)
	}
	rest, _, _ = strings.Cut(rest, "\n\n")
	rest, _, _ = strings.Cut(rest, "**")
	return strings.TrimSpace(rest)
}

var (
	minors  = regexp.MustCompile(`Kubernetes (1\.\d+)(?: to (1\.\d+)| (and newer))`)
	actions = regexp.MustCompile("`([a-z0-9-]+:[A-Z][A-Za-z]+|wellKnownPolicies\\.[A-Za-z]+)`")
)

func (r readme) minors() string {
	r.t.Helper()
	found := minors.FindStringSubmatch(strings.Join(strings.Fields(r.paragraph("Versions")), " "))
	if found == nil {
		r.t.Errorf("addons/%s/README.md does not say under Versions for which Kubernetes it is", r.addon)
		return ""
	}
	if found[2] == "" {
		return found[1] + " and newer"
	}
	return found[1] + " to " + found[2]
}

func (r readme) actions() []string {
	r.t.Helper()
	var out []string
	for _, match := range actions.FindAllStringSubmatch(r.paragraph("IAM"), -1) {
		out = append(out, match[1])
	}
	return out
}

// listed is a cell with each entry once.
func listed(entries []string) string {
	if len(entries) == 0 {
		return "none"
	}
	slices.Sort(entries)
	return "`" + strings.Join(slices.Compact(entries), "` `") + "`"
}

// associations are the IAM actions that the sample clusters give to service accounts, by namespace and name.
func associations(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(stack.Root(t), "clusters", "*", "cluster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var config gitops.Tree
		if err := yaml.Unmarshal(text, &config); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, one := range gitops.ListAt(config, "iam", "podIdentityAssociations") {
			entry, _ := one.(gitops.Tree)
			account := gitops.StringAt(entry, "namespace") + "/" + gitops.StringAt(entry, "serviceAccountName")
			for policy := range gitops.TreeAt(entry, "wellKnownPolicies") {
				out[account] = append(out[account], "wellKnownPolicies."+policy)
			}
			for _, statement := range gitops.ListAt(entry, "permissionPolicy", "Statement") {
				statement, _ := statement.(gitops.Tree)
				for _, action := range gitops.ListAt(statement, "Action") {
					out[account] = append(out[account], fmt.Sprint(action))
				}
			}
		}
	}
	return out
}

// imagesOf are the last parts of the images of pods and of custom resources that name one.
func imagesOf(items []gitops.Item) string {
	found := map[string]bool{}
	for _, item := range items {
		if image := gitops.StringAt(item.Spec, "spec", "image"); image != "" {
			found[path.Base(image)] = true
		}
		for _, pod := range podsOf(item) {
			for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
				found[path.Base(c.Image)] = true
			}
		}
	}
	if len(found) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), "<br>")
}

// podsOf is the pod template of a workload.
func podsOf(item gitops.Item) []corev1.PodSpec {
	for _, at := range [][]string{{"spec", "template", "spec"}, {"spec", "jobTemplate", "spec", "template", "spec"}} {
		tree := gitops.TreeAt(item.Spec, at...)
		var spec corev1.PodSpec
		if tree != nil && runtime.DefaultUnstructuredConverter.FromUnstructured(tree, &spec) == nil && len(spec.Containers) > 0 {
			return []corev1.PodSpec{spec}
		}
	}
	return nil
}

// levelOf is the strictest Pod Security level that all pods of a base meet, by the API server's own checks. A namespace of the base
// that enforces more than that would keep its pods away.
func levelOf(t *testing.T, items []gitops.Item) string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	levels := []api.Level{api.LevelRestricted, api.LevelBaseline, api.LevelPrivileged}
	enforced, worst, pods := map[string]string{}, 0, 0
	for _, item := range items {
		if item.Ref.Kind == "Namespace" {
			enforced[item.Ref.Name] = gitops.StringsAt(item.Spec, "metadata", "labels")[api.EnforceLevelLabel]
		}
	}
	for _, item := range items {
		for _, pod := range podsOf(item) {
			pods++
			level := slices.IndexFunc(levels, func(l api.Level) bool {
				for _, result := range evaluator.EvaluatePod(api.LevelVersion{Level: l, Version: api.LatestVersion()}, &metav1.ObjectMeta{}, &pod) {
					if !result.Allowed {
						return false
					}
				}
				return true
			})
			worst = max(worst, level)
			if limit := slices.Index(levels, api.Level(enforced[item.Ref.Namespace])); limit >= 0 && level > limit {
				t.Errorf("%s is %s in a namespace that enforces %s", item.Ref, levels[level], levels[limit])
			}
		}
	}
	if pods == 0 {
		return "none"
	}
	return string(levels[worst])
}
