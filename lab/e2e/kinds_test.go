package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/internal/sim/kinds"
	"github.com/eks-gitops/reconciler/lab/labtest"
)

// rows are the clusters that the kinds are tried on: kinds that go together share one, since every cluster is a control plane more.
func rows() map[string][]string {
	return map[string][]string{
		"nodes":        {"managed", "self-managed", "spot", "bottlerocket", "gpu", "ssh", "custom-image", "launch-template", "instance-selector"},
		"rights":       {"irsa", "pod-identity", "addons", "fargate", "identity-mappings"},
		"settings":     {"logging", "encryption", "identity-provider", "hybrid-nodes", "access-entries", "local-zones"},
		"custom-vpc":   {"custom-vpc"},
		"existing-vpc": {"existing-vpc"},
		"private":      {"private"},
		"ipv6":         {"ipv6"},
		"auto-mode":    {"auto-mode"},
		"capabilities": {"capabilities"},
	}
}

// TestKinds makes and takes down a cluster of every kind that eksctl's public examples show, in both directions. The unmodified eksctl
// makes one, of which a diff of the same file and of what import writes is empty, and teardown deletes it. Apply makes another, which
// eksctl lists and deletes. At the end AWS has what it had before.
func TestKinds(t *testing.T) {
	t.Parallel()
	k := newKinds(t)
	all, err := kinds.Names()
	if err != nil {
		t.Fatal(err)
	}
	var tried []string
	for _, names := range rows() {
		tried = append(tried, names...)
	}
	if slices.Sort(tried); !slices.Equal(tried, all) {
		t.Fatalf("the kinds are\n%v, tried are\n%v", all, tried)
	}
	before := k.census(t)
	t.Run("kinds", func(t *testing.T) {
		// Not t.Parallel: eksctl waits most of the time, so how many wait at a time must not depend on the number of cores. The first half takes
		// longer: eksctl waits more while it makes a cluster.
		var group sync.WaitGroup
		turns := make(chan struct{}, 12)
		for _, half := range []struct {
			by    string
			steps func(*testing.T, trial)
		}{{"eksctl", k.madeByEksctl}, {"apply", k.madeByApply}} {
			for name, names := range rows() {
				turns <- struct{}{}
				group.Go(func() {
					defer func() { <-turns }()
					t.Run(name+"/made-by-"+half.by, func(t *testing.T) { half.steps(t, k.trial(t, name+"-"+half.by, names)) })
				})
			}
		}
		group.Wait()
	})
	if diff := cmp.Diff(before, k.census(t)); diff != "" {
		t.Errorf("AWS has other things than before (-before +after):\n%s", diff)
	}
}

// kindsLab is a lab with an account in which the kinds can be made.
type kindsLab struct {
	*programs
	ground kinds.Ground
	region string
}

func newKinds(t *testing.T) *kindsLab {
	t.Helper()
	lab := labtest.Start(t, labtest.Options{})
	p := newPrograms(t, lab, "")
	p.paths["reconciler"] = labtest.Tool(t, "reconciler")
	k := &kindsLab{programs: p, region: lab.Getenv("AWS_REGION")}
	config := sdk.Config{
		Region: k.region, BaseEndpoint: sdk.String(lab.Getenv("AWS_ENDPOINT_URL")),
		Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{AccessKeyID: lab.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: lab.Getenv("AWS_SECRET_ACCESS_KEY")}, nil
		}),
	}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	ground, err := kinds.Prepare(t.Context(), config, func() { <-ticker.C })
	if err != nil {
		t.Fatal(err)
	}
	k.ground = ground
	return k
}

// trial is one cluster.
type trial struct {
	cluster string
	// fleet is a repository whose only cluster it is.
	fleet, folder, file string
	// config is the file.
	config config
}

// config is what eksctl has to list of a file.
type config struct {
	Addons            []named
	NodeGroups        []named
	ManagedNodeGroups []named
	FargateProfiles   []named
	IdentityProviders []named
	Capabilities      []named
	IAM               struct {
		ServiceAccounts []struct {
			Metadata      named
			AttachRoleARN string
		}
		PodIdentityAssociations []struct{ ServiceAccountName string }
	}
	IAMIdentityMappings []struct{ ARN, Account string }
	AccessConfig        struct {
		AccessEntries []struct{ PrincipalARN string }
	}
}

type named struct{ Name string }

func (k *kindsLab) trial(t *testing.T, cluster string, names []string) trial {
	t.Helper()
	body, err := kinds.Config(k.ground, cluster, k.region, names...)
	if err != nil {
		t.Fatal(err)
	}
	out := trial{cluster: cluster, fleet: t.TempDir(), folder: "clusters/" + cluster}
	if err := yaml.Unmarshal([]byte(body), &out.config); err != nil {
		t.Fatal(err)
	}
	out.file = filepath.Join(out.fleet, out.folder, "cluster.yaml")
	if err := os.MkdirAll(filepath.Dir(out.file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out.file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

// reconciler runs a command of the reconciler on a fleet; it has to exit 0, that is, to leave nothing to do.
func (k *kindsLab) reconciler(t *testing.T, fleet string, args ...string) {
	t.Helper()
	k.run(t, "reconciler", append(args, "-C", fleet, "--ledger", "file:"+filepath.Join(fleet, "ledger"))...)
}

func (k *kindsLab) madeByEksctl(t *testing.T, c trial) {
	k.eksctl(t, "create", "cluster", "-f", c.file, "--kubeconfig", filepath.Join(c.fleet, "kubeconfig"))
	k.reconciler(t, c.fleet, "diff", c.folder, "--only", "infra")

	imported := t.TempDir()
	k.run(t, "reconciler", "import", c.cluster, "--region", k.region, "--output", filepath.Join(imported, c.folder, "cluster.yaml"))
	k.reconciler(t, imported, "diff", c.folder, "--only", "infra")

	k.reconciler(t, c.fleet, "teardown", c.folder, "--yes", "--progress", "plain")
}

func (k *kindsLab) madeByApply(t *testing.T, c trial) {
	k.reconciler(t, c.fleet, "apply", c.folder, "--progress", "plain")
	k.lists(t, c)
	k.eksctl(t, "delete", "cluster", "--name", c.cluster, "--wait", "--disable-nodegroup-eviction")
}

// lists demands that eksctl lists all that the file names.
func (k *kindsLab) lists(t *testing.T, c trial) {
	t.Helper()
	want := map[string][]string{"cluster": {c.cluster}}
	add := func(what string, names ...string) { want[what] = append(want[what], names...) }
	for what, list := range map[string][][]named{
		"addon": {c.config.Addons}, "nodegroup": {c.config.NodeGroups, c.config.ManagedNodeGroups}, "fargateprofile": {c.config.FargateProfiles},
		"identityprovider": {c.config.IdentityProviders}, "capability": {c.config.Capabilities},
	} {
		for _, item := range slices.Concat(list...) {
			add(what, item.Name)
		}
	}
	for _, a := range c.config.IAM.ServiceAccounts {
		if a.AttachRoleARN == "" { // eksctl lists those that it made a role for
			add("iamserviceaccount", a.Metadata.Name)
		}
	}
	for _, a := range c.config.IAM.PodIdentityAssociations {
		add("podidentityassociation", a.ServiceAccountName)
	}
	for _, m := range c.config.IAMIdentityMappings {
		add("iamidentitymapping", m.ARN+m.Account)
	}
	for _, e := range c.config.AccessConfig.AccessEntries {
		add("accessentry", e.PrincipalARN)
	}
	for what, names := range want {
		args := []string{"get", what, "--output", "json"}
		if what != "cluster" {
			args = append(args, "--cluster", c.cluster)
		}
		text := k.eksctl(t, args...)
		if !json.Valid([]byte(text)) {
			t.Errorf("eksctl get %s says\n%s", what, text)
		}
		for _, name := range names {
			if !strings.Contains(text, `"`+name+`"`) {
				t.Errorf("eksctl get %s does not list %s:\n%s", what, name, text)
			}
		}
	}
}
