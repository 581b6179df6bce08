package e2e

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/lab/story"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// TestRoleOfACluster runs two clusters, one of them as a role that its reconcile.yaml names: what AWS and its API server are asked about
// that one is asked as the role, and about the other one as the process itself. When the role trusts it no more, that is told
// with file and line; when the file names another role, the running daemon goes on as that one.
func TestRoleOfACluster(t *testing.T) {
	t.Parallel()
	s := begin(t, 300)
	trust(t, s, "team", "create-role", "--assume-role-policy-document", "fleet-7")
	trust(t, s, "heirs", "create-role", "--assume-role-policy-document", "fleet-7")
	for _, name := range []string{"dev", "prod"} {
		if err := s.Fleet.Remove("clusters/" + name); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{
			"cluster.yaml":                       "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: " + name + ", region: eu-west-1}\naddonsConfig: {disableDefaultAddons: true}\n",
			"addons/settings/settings.yaml":      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: default}\ndata: {size: small}\n",
			"addons/settings/kustomization.yaml": "resources: [settings.yaml]\n",
		} {
			path := "clusters/" + name + "/" + file
			if err := os.MkdirAll(filepath.Join(s.Fleet.Work, filepath.Dir(path)), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, s, path, text)
		}
	}
	const policy = "interval: 5s\naws:\n  role: arn:aws:iam::111122223333:role/team\n  externalID: fleet-7\n"
	write(t, s, "clusters/dev/reconcile.yaml", policy)
	push(t, s, "Run two clusters")
	cli(t, s, 0, "apply", "--progress", "plain")
	if out := cli(t, s, 0, "diff"); strings.Contains(out.Stdout, "not looked at") {
		t.Errorf("the API servers were not asked:\n%s", out.Stdout)
	}
	asTheRole(t, s, "team")

	trust(t, s, "team", "update-assume-role-policy", "--policy-document", "another")
	out := cli(t, s, 2, "diff", "clusters/dev")
	expect(t, out, 2, "AccessDenied", "assuming the role arn:aws:iam::111122223333:role/team", "clusters/dev/reconcile.yaml:3", "aws iam get-role --role-name team")
	if strings.Contains(out.Stdout, "to delete") || strings.Contains(out.Stdout, "to add") {
		t.Errorf("unknown was taken for absent:\n%s", out.Stdout)
	}
	trust(t, s, "team", "update-assume-role-policy", "--policy-document", "fleet-7")

	// Another role than the one that made the cluster has to be let into it.
	if err := s.R.Start("clusters/dev"); err != nil {
		t.Fatal(err)
	}
	settle(t, s, run.Converged)
	var ignored any
	for _, args := range [][]string{
		{"create-access-entry"}, {"associate-access-policy", "--access-scope", "type=cluster", "--policy-arn", "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"},
	} {
		args = append([]string{"eks", args[0], "--cluster-name", "dev", "--principal-arn", "arn:aws:iam::111122223333:role/heirs"}, args[1:]...)
		if err := s.Lab.AWS(t.Context(), &ignored, args...); err != nil {
			t.Fatal(err)
		}
	}
	write(t, s, "clusters/dev/reconcile.yaml", strings.Replace(policy, "role/team", "role/heirs", 1))
	edit(t, s, "clusters/dev/addons/settings/settings.yaml", "small", "large")
	push(t, s, "Hand dev over")
	settle(t, s, run.Converged)
	asTheRole(t, s, "heirs")
	if err := s.R.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	silent(t, s)
}

// trust makes a role as deploy/README.md says, or changes which external id it asks for.
func trust(t *testing.T, s *story.Story, role, command, flag, id string) {
	t.Helper()
	document, err := os.ReadFile(filepath.Join(checkout(t), "deploy", "iam-trust-account.json"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("arn:aws:iam::ACCOUNT:role/reconciler", "111122223333", "EXTERNAL-ID", id).Replace(string(document))
	if _, err := s.Lab.Must(t.Context(), "aws", "iam", command, "--role-name", role, flag, text); err != nil {
		t.Fatal(err)
	}
}

// asTheRole checks who asked for what is about either cluster by name, and that the role did ask.
func asTheRole(t *testing.T, s *story.Story, role string) {
	t.Helper()
	asked := map[string]bool{}
	for _, r := range awsLog(t, s, 0) {
		if !strings.Contains(r.Agent, "app/reconciler") {
			continue
		}
		text := r.Path + string(r.Input)
		switch session := ":assumed-role/" + role + "/reconciler-dev"; {
		case strings.HasSuffix(r.Caller, session):
			asked[r.Operation] = true
			if strings.Contains(text, "prod") {
				t.Errorf("%s about prod was asked as %s", r.Operation, r.Caller)
			}
		case strings.Contains(r.Caller, ":user/") && (strings.Contains(text, "eksctl-dev") || strings.Contains(text, "clusters/dev")):
			t.Errorf("%s about dev was asked as %s", r.Operation, r.Caller)
		}
	}
	wanted := []string{"GetCallerIdentity", "DescribeCluster"}
	if role == "team" {
		wanted = append(wanted, "CreateStack")
	}
	for _, operation := range wanted {
		if !asked[operation] {
			t.Errorf("%s was not asked as %s", operation, role)
		}
	}
}

// silent looks for the secrets of the sessions that AWS gave in all that the reconciler wrote.
func silent(t *testing.T, s *story.Story) {
	t.Helper()
	var sessions map[string]struct{ Secret, Token string }
	lab, texts := [][]byte{}, [][]byte{}
	for dir, into := range map[string]*[][]byte{filepath.Join(filepath.Dir(s.R.State), "lab", "aws"): &lab, s.R.State: &texts} {
		if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			body, err := os.ReadFile(path)
			*into = append(*into, body)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, body := range lab {
		var state struct {
			Sessions map[string]struct{ Secret, Token string }
		}
		if json.Unmarshal(body, &state) == nil && len(state.Sessions) > 0 {
			sessions = state.Sessions
		}
	}
	if len(sessions) == 0 || len(texts) == 0 {
		t.Fatalf("%d sessions, %d files", len(sessions), len(texts))
	}
	for _, session := range sessions {
		for _, body := range texts {
			if bytes.Contains(body, []byte(session.Secret)) || bytes.Contains(body, []byte(session.Token)) {
				t.Error("a secret of a session was written down")
			}
		}
	}
}
