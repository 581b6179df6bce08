package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"golang.org/x/tools/txtar"

	simaws "github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
	"github.com/eks-gitops/reconciler/pkg/eks"
)

// simulator is an AWS whose answers are overheard.
type simulator struct {
	*simtest.Sim
	said said
}

// overheard writes answers to two.
type overheard struct {
	http.ResponseWriter
	too *said
}

func (o overheard) Write(b []byte) (int, error) {
	_, _ = o.too.Write(b)
	return o.ResponseWriter.Write(b)
}

// secrets are those of the sessions of roles that were given.
func (s *simulator) secrets() []string {
	s.said.mu.Lock()
	defer s.said.mu.Unlock()
	var out []string
	for _, found := range regexp.MustCompile(`<(?:SecretAccessKey|SessionToken)>([^<]+)<`).FindAllStringSubmatch(s.said.String(), -1) {
		out = append(out, found[1])
	}
	return out
}

// simulated is an AWS that the environment points to, with roles that ask for the external id fleet-7.
func simulated(t *testing.T, roles ...string) *simulator {
	t.Helper()
	s, key := &simulator{Sim: simtest.Start(t, simaws.Options{World: world.Options{Region: "eu-west-1"}})}, simaws.DefaultKey()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(overheard{w, &s.said}, r) }))
	t.Cleanup(front.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": front.URL, "AWS_ACCESS_KEY_ID": key.AccessKey, "AWS_SECRET_ACCESS_KEY": key.Secret, "AWS_REGION": "eu-west-1",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_MAX_ATTEMPTS": "1", "HOME": t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"fleet-7"}}}]}`
	for _, role := range roles {
		if _, err := iam.NewFromConfig(s.Config()).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &role, AssumeRolePolicyDocument: &trust}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Clusters of one account and region take turns, whatever they are reached as; those of one role and session share its credentials.
func TestIdentitiesAreShared(t *testing.T) {
	s := simulated(t, "a", "b")
	var ids identities
	get := func(region, role, session string) identity {
		t.Helper()
		r := eks.Role{}
		if role != "" {
			r = eks.Role{ARN: role, ExternalID: "fleet-7", Session: session}
		}
		id, err := ids.in(t.Context(), region, r)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	const a, b, far = "arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/b", "arn:aws:iam::444455556666:role/a"
	self, one := get("eu-west-1", "", ""), get("eu-west-1", a, "x1")
	for name, tc := range map[string]struct {
		left, right identity
		same        bool
	}{
		"itself":          {self, get("eu-west-1", "", ""), true},
		"the same role":   {one, get("eu-west-1", a, "x1"), true},
		"another session": {one, get("eu-west-1", a, "x2"), true},
		"another role":    {one, get("eu-west-1", b, "x1"), true},
		"another region":  {one, get("eu-central-1", a, "x1"), false},
		"another account": {one, get("eu-west-1", far, "x1"), false},
		"no role":         {one, self, false},
	} {
		if got := tc.left.turns == tc.right.turns; got != tc.same {
			t.Errorf("%s: shares turns: %v", name, got)
		}
	}
	if self.config.HTTPClient != one.config.HTTPClient {
		t.Error("a role has connections of its own")
	}
	for range 2 {
		for _, id := range []identity{get("eu-west-1", a, "x1"), get("eu-west-1", a, "x2")} {
			if _, err := id.config.Credentials.Retrieve(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(slices.DeleteFunc(s.Requests(0), func(r simaws.Request) bool { return r.Operation != "AssumeRole" })); n != 2 {
		t.Errorf("two sessions were asked for %d times", n)
	}
}

const roles = `
-- clusters/itself/cluster.yaml --
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: itself, region: eu-west-1}
-- clusters/team/cluster.yaml --
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: team, region: eu-west-1}
-- clusters/team/reconcile.yaml --
aws:
  role: arn:aws:iam::111122223333:role/team
  externalID: fleet-7
-- clusters/stranger/cluster.yaml --
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: stranger, region: eu-west-1}
-- clusters/stranger/reconcile.yaml --
interval: 1m
aws:
  role: arn:aws:iam::111122223333:role/team
  externalID: guess
-- clusters/unclear/cluster.yaml --
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: unclear, region: eu-west-1}
-- clusters/unclear/reconcile.yaml --
aws:
  roleARN: arn:aws:iam::111122223333:role/team
-- clusters/torn/cluster.yaml --
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: torn, region: eu-west-1}
-- clusters/torn/reconcile.yaml --
aws: {role: [
`

// diffOf looks at one cluster and gives the exit code and all that was said.
func diffOf(t *testing.T, dir, cluster string) (int, string) {
	t.Helper()
	var said bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := execute(ctx, []string{"diff", "-C", dir, "--ledger", "memory", "--verbose", "clusters/" + cluster}, host{
		stdin: &bytes.Buffer{}, stdout: &said, stderr: &said, getenv: os.Getenv, now: time.Now,
	})
	return got, said.String()
}

// TestClustersAreReachedAsTheirRoles: each cluster is looked at as whom its reconcile.yaml says. A refusal is one message with its place,
// for one question; a file that cannot be read is no leave to look as the process itself, which may see another account.
func TestClustersAreReachedAsTheirRoles(t *testing.T) {
	s := simulated(t, "team")
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(roles)).Files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(f.Name)), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const self, session = "arn:aws:iam::111122223333:user/admin", "arn:aws:sts::111122223333:assumed-role/team/reconciler-team"
	all := ""
	for _, tc := range []struct {
		cluster string
		code    int
		by      string // who looked
		assumed int
		want    []string
	}{
		{cluster: "itself", code: exitLeft, by: self},
		{cluster: "team", code: exitLeft, by: session, assumed: 1},
		{cluster: "stranger", code: exitUnknown, assumed: 1, want: []string{
			"AccessDenied", "assuming the role arn:aws:iam::111122223333:role/team", "User: " + self + " is not authorized", "clusters/stranger/reconcile.yaml:3",
			"aws iam get-role --role-name team",
		}},
		{cluster: "unclear", code: exitUnknown, want: []string{"PolicyInvalid", "aws.roleARN: unknown field", "clusters/unclear/reconcile.yaml:2", "AWS was not looked at"}},
		{cluster: "torn", code: exitUnknown, want: []string{"PolicyInvalid", "did not find expected node content", "clusters/torn/reconcile.yaml:1", "AWS was not looked at"}},
	} {
		before := len(s.Requests(0))
		got, said := diffOf(t, dir, tc.cluster)
		all += said
		if got != tc.code {
			t.Errorf("%s: exit %d, want %d:\n%s", tc.cluster, got, tc.code, said)
		}
		assumed := 0
		for _, r := range s.Requests(before) {
			switch {
			case r.Operation == "AssumeRole" && r.Caller == self:
				assumed++
			case r.Caller != tc.by:
				t.Errorf("%s: %s was asked as %q, want %q", tc.cluster, r.Operation, r.Caller, tc.by)
			}
		}
		if looked := slices.ContainsFunc(s.Requests(before), func(r simaws.Request) bool { return r.Operation == "DescribeCluster" }); looked != (tc.by != "") {
			t.Errorf("%s: looked at: %v", tc.cluster, looked)
		}
		if assumed != tc.assumed {
			t.Errorf("%s: a role was asked for %d times, want %d", tc.cluster, assumed, tc.assumed)
		}
		for _, text := range tc.want {
			if !strings.Contains(said, text) {
				t.Errorf("%s: does not say %q:\n%s", tc.cluster, text, said)
			}
		}
		if len(tc.want) > 0 && strings.Count(said, tc.want[1]) != 1 {
			t.Errorf("%s: says it more than once:\n%s", tc.cluster, said)
		}
	}
	if len(s.secrets()) != 2 {
		t.Fatalf("one session has the secrets %q", s.secrets())
	}
	for _, secret := range s.secrets() {
		if strings.Contains(all, secret) {
			t.Errorf("a secret of a session is in the output:\n%s", all)
		}
	}
}
