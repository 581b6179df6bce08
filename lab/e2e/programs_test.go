package e2e_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/lab/labtest"
)

// programs runs eksctl, aws and kubectl against a lab. Every run has to succeed.
type programs struct {
	lab     *labtest.Lab
	paths   map[string]string
	cluster string
}

func newPrograms(t *testing.T, lab *labtest.Lab, cluster string) *programs {
	t.Helper()
	p := &programs{lab: lab, cluster: cluster, paths: map[string]string{"eksctl": labtest.Tool(t, "eksctl")}}
	for _, name := range []string{"aws", "kubectl"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatalf("%s is needed (make deps installs it): %v", name, err)
		}
		p.paths[name] = path
	}
	return p
}

func (p *programs) run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, _ := p.runBoth(t, program, args...)
	return out
}

func (p *programs) runBoth(t *testing.T, program string, args ...string) (out, talk string) {
	t.Helper()
	command := p.lab.Command(t, p.paths[program], args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	begin := time.Now()
	err := command.Run()
	line := program + " " + strings.Join(args, " ")
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", line, err, stdout.String(), stderr.String())
	}
	t.Logf("%5.1fs %s", time.Since(begin).Seconds(), line)
	return stdout.String(), stderr.String()
}

// eksctl runs eksctl and returns what it said.
func (p *programs) eksctl(t *testing.T, args ...string) string {
	t.Helper()
	return p.run(t, "eksctl", args...)
}

// says runs eksctl and demands that its output contains a text.
func (p *programs) says(t *testing.T, text string, args ...string) {
	t.Helper()
	out, talk := p.runBoth(t, "eksctl", args...)
	if !strings.Contains(out+talk, text) {
		t.Errorf("eksctl %s did not say %q but:\n%s%s", strings.Join(args, " "), text, out, talk)
	}
}

// aws asks AWS a question and decodes the answer.
func (p *programs) aws(t *testing.T, into any, args ...string) {
	t.Helper()
	out := p.run(t, "aws", append(args, "--output", "json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// text asks AWS and returns the words of the answer.
func (p *programs) text(t *testing.T, args ...string) []string {
	t.Helper()
	words := strings.Fields(p.run(t, "aws", append(args, "--output", "text")...))
	if len(words) == 1 && words[0] == "None" {
		return nil
	}
	return words
}

// refused demands that AWS refuses with a code.
func (p *programs) refused(t *testing.T, code string, args ...string) {
	t.Helper()
	out, err := p.lab.Command(t, p.paths["aws"], args...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), code) {
		t.Errorf("aws %s: want %s, got error %v:\n%s", strings.Join(args, " "), code, err, out)
	}
}

// kubectl talks to the cluster as the AWS principal.
func (p *programs) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return p.run(t, "kubectl", append([]string{"--context", p.cluster}, args...)...)
}

// nodes lists the names of a node group's ready nodes.
func (p *programs) nodes(t *testing.T, group string) []string {
	t.Helper()
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Status   struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	out := p.kubectl(t, "get", "nodes", "-l", "alpha.eksctl.io/nodegroup-name="+group, "-o", "json")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, item := range list.Items {
		for _, condition := range item.Status.Conditions {
			if condition.Type == "Ready" && condition.Status == "True" {
				names = append(names, item.Metadata.Name)
			}
		}
	}
	return names
}

// eventually waits for what the simulated AWS brings about by itself.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	const patience = 90 * time.Second
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for !check() {
		select {
		case <-deadline.C:
			t.Fatalf("waited %s for %s", patience, what)
		case <-t.Context().Done():
			t.Fatalf("waiting for %s: %v", what, t.Context().Err())
		case <-ticker.C:
		}
	}
}
