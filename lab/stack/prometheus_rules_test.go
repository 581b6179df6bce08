package stack_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/lab/labtest"
	"github.com/eks-gitops/reconciler/lab/stack"
)

// ruleFile is a PrometheusRule of the base.
type ruleFile struct {
	name string
	Spec struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []rule `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

type rule struct {
	Alert       string            `json:"alert"`
	Record      string            `json:"record"`
	Expr        string            `json:"expr"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// severity tells alerts of one name apart.
func (r rule) severity() string { return r.Labels["severity"] }

func monitoringFolder(t *testing.T, parts ...string) string {
	t.Helper()
	return filepath.Join(append([]string{stack.Root(t), "addons", "kube-prometheus"}, parts...)...)
}

func ruleFiles(t *testing.T) []ruleFile {
	t.Helper()
	var kustomization struct {
		Resources []string `json:"resources"`
	}
	readYAML(t, monitoringFolder(t, "rules", "kustomization.yaml"), &kustomization)
	var out []ruleFile
	for _, resource := range kustomization.Resources {
		f := ruleFile{name: resource}
		readYAML(t, monitoringFolder(t, "rules", resource), &f)
		out = append(out, f)
	}
	if len(out) == 0 {
		t.Fatal("there are no rules")
	}
	return out
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// tool runs a checking program, which has to be content.
func tool(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), labtest.Tool(t, name), args...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// TestRules lets promtool check every rule and run the unit tests of the base.
func TestRules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := ruleFiles(t)
	for _, f := range files {
		groups, err := yaml.Marshal(f.Spec)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, f.name), string(groups))
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(f.name, ".yaml"), func(t *testing.T) {
			t.Parallel()
			tool(t, dir, "promtool", "check", "rules", "--lint=all", "--lint-fatal", f.name)
			text, err := os.ReadFile(monitoringFolder(t, "tests", f.name))
			if err != nil {
				t.Fatal(err)
			}
			tests := "test-" + f.name
			write(t, filepath.Join(dir, tests), string(text))
			tool(t, dir, "promtool", "test", "rules", tests)
		})
	}
}

// TestEveryAlertIsTestedAndExplained compares rules, their tests and the runbooks.
func TestEveryAlertIsTestedAndExplained(t *testing.T) {
	t.Parallel()
	book, err := os.ReadFile(monitoringFolder(t, "runbooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	headings := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^### (\S+)$`).FindAllStringSubmatch(string(book), -1) {
		headings[heading[1]] = false
	}
	for _, f := range ruleFiles(t) {
		fired := firing(t, f.name)
		for _, group := range f.Spec.Groups {
			for _, r := range group.Rules {
				if r.Alert == "" {
					continue
				}
				if _, ok := headings[r.Alert]; !ok {
					t.Errorf("%s: runbooks.md has no entry for %s", f.name, r.Alert)
				}
				headings[r.Alert] = true
				if want := "/addons/kube-prometheus/runbooks.md#" + strings.ToLower(r.Alert); !strings.HasSuffix(r.Annotations["runbook_url"], want) {
					t.Errorf("%s: the runbook_url of %s is %q, want it to end with %s", f.name, r.Alert, r.Annotations["runbook_url"], want)
				}
				if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
					t.Errorf("%s: %s says nothing", f.name, r.Alert)
				}
				if !slices.Contains([]string{"critical", "warning", "info", "none"}, r.severity()) {
					t.Errorf("%s: the severity of %s is %q", f.name, r.Alert, r.severity())
				}
				if !fired[r.Alert+" "+r.severity()] {
					t.Errorf("%s: no test makes %s (%s) fire", f.name, r.Alert, r.severity())
				}
			}
		}
	}
	for name, used := range headings {
		if !used {
			t.Errorf("runbooks.md explains %s, which is no alert", name)
		}
	}
}

// firing are the alerts, "NAME SEVERITY", that a file of tests expects to fire at some time.
func firing(t *testing.T, name string) map[string]bool {
	t.Helper()
	var file struct {
		Tests []struct {
			Expressions []struct {
				Expr    string            `json:"expr"`
				Samples []json.RawMessage `json:"exp_samples"`
			} `json:"promql_expr_test"`
		} `json:"tests"`
	}
	readYAML(t, monitoringFolder(t, "tests", name), &file)
	selector := regexp.MustCompile(`ALERTS\{alertname="(\w+)", alertstate="firing", severity="(\w+)"\}`)
	out := map[string]bool{}
	for _, test := range file.Tests {
		for _, e := range test.Expressions {
			if found := selector.FindStringSubmatch(e.Expr); found != nil && len(e.Samples) > 0 {
				out[fmt.Sprintf("%s %s", found[1], found[2])] = true
			}
		}
	}
	return out
}

// TestAlertmanagerConfig lets amtool check the routes and sends it some alerts.
func TestAlertmanagerConfig(t *testing.T) {
	t.Parallel()
	file := monitoringFolder(t, "alertmanager", "config", "alertmanager.yaml")
	tool(t, "", "amtool", "check-config", file)
	for _, c := range []struct{ labels, receiver string }{
		{"alertname=Watchdog severity=none", "watchdog"},
		{"alertname=InfoInhibitor severity=none", "nowhere"},
		{"alertname=KubeAPIDown severity=critical", "critical"},
		{"alertname=KubePodNotReady severity=warning", "default"},
	} {
		args := append([]string{"config", "routes", "test", "--config.file=" + file, "--verify.receivers=" + c.receiver}, strings.Fields(c.labels)...)
		tool(t, "", "amtool", args...)
	}
}
