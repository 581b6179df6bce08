package stack

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/ground"
	"github.com/eks-gitops/reconciler/lab/controlplane"
	"github.com/eks-gitops/reconciler/pkg/apply"
	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/ledger"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/render"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// repository is a copy of the repository's content with one cluster, whose overlays a test adds and removes, and the engine
// that follows it. AWS has no part in this: the infrastructure is ground, which only knows facts.
type repository struct {
	dir     string
	pass    int
	engine  *engine.Engine
	objects *apply.Cluster
	ground  ground.Infra
}

const clusterFolder = "clusters/" + clusterName

// The rendered facts may name any role: which ones the sample clusters really have is their own affair.
const clusterConfig = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: ` + clusterName + `, region: ` + region + `}
addonsConfig: {autoApplyPodIdentityAssociations: true}
`

// A test removes whole overlays at once.
const policy = `prune: {maxShare: 1, maxCount: 10000}
timeouts: {ready: 5m}
`

func newRepository(t testing.TB, c *Cluster) *repository {
	t.Helper()
	r := offline(t, c.Plane.DNS(), c.Plane.Version())
	r.objects = apply.New(apply.Options{
		Cluster: clusterName, Watch: true, Now: time.Now,
		Access: func(context.Context) (apply.Access, error) { return apply.Access{Kubeconfig: c.AdminFile}, nil },
	})
	t.Cleanup(r.objects.Close)
	return r
}

// offline is a repository that renders, and knows no cluster.
func offline(t testing.TB, dns, version string) *repository {
	t.Helper()
	r := &repository{dir: t.TempDir()}
	for _, part := range []string{"addons", "apps"} {
		if err := os.CopyFS(filepath.Join(r.dir, part), os.DirFS(filepath.Join(Root(t), part))); err != nil {
			t.Fatal(err)
		}
	}
	r.write(t, clusterFolder+"/cluster.yaml", clusterConfig)
	r.write(t, clusterFolder+"/reconcile.yaml", policy)
	r.ground = ground.Infra{Known: facts(t, r.dir, dns, version)}
	r.engine = engine.New(engine.Options{
		Renderer: render.New(render.Options{}), Ledger: ledger.New(ledger.Memory(), ledger.Options{}), Sink: run.Sinks{}, Now: time.Now,
		Checks: plan.Checks{Zone: time.LoadLocation, Condition: apply.Condition, Message: apply.Message},
	})
	return r
}

// Render renders a base with components of it for a cluster of the newest minor, without a cluster.
func Render(t testing.TB, base string, components ...string) []gitops.Item {
	t.Helper()
	minors := controlplane.Minors()
	r := offline(t, "10.100.0.10", minors[len(minors)-1])
	r.write(t, clusterFolder+"/"+base+"/kustomization.yaml", including(base, components))
	return r.rendered(t, base)
}

// including is the kustomization of an overlay that takes a base and components of it.
func including(base string, components []string) string {
	up := strings.Repeat("../", strings.Count(clusterFolder+"/"+base, "/")+1)
	text := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - " + up + base + "\n"
	for i, component := range components {
		if i == 0 {
			text += "components:\n"
		}
		text += "  - " + path.Join(up+base, component) + "\n"
	}
	return text
}

// Root is the repository's folder.
func Root(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("cannot tell where the repository is")
	}
	return filepath.Join(filepath.Dir(file), "..", "..")
}

func (r *repository) write(t testing.TB, name, text string) {
	t.Helper()
	full := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (r *repository) remove(t testing.TB, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(r.dir, name)); err != nil {
		t.Fatal(err)
	}
}

// reconcile makes one pass over the cluster, or only looks.
func (r *repository) reconcile(t testing.TB, preview bool) run.Record {
	t.Helper()
	r.pass++
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 4*Patience)
	defer cancel()
	snapshot := gitops.Snapshot{Revision: gitops.Revision{Hash: fmt.Sprintf("%040x", r.pass)}, Files: os.DirFS(r.dir)}
	clusters, err := r.engine.Renderer.Clusters(ctx, snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if len(clusters) != 1 {
		t.Fatalf("the repository has %d clusters, want 1", len(clusters))
	}
	record, err := r.engine.RunOnce(ctx, engine.Job{
		Snapshot: snapshot, Cluster: clusters[0], Cause: "test", Preview: preview,
		Target: engine.Target{Infra: r.ground, Facts: r.ground, Objects: r.objects, Redactor: gitops.Redactor{Key: []byte("test")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// rendered are the objects of an overlay.
func (r *repository) rendered(t testing.TB, overlay string) []gitops.Item {
	t.Helper()
	snapshot := gitops.Snapshot{Files: os.DirFS(r.dir)}
	clusters, err := r.engine.Renderer.Clusters(t.Context(), snapshot)
	if err != nil {
		t.Fatal(err)
	}
	desired, err := r.engine.Renderer.Render(t.Context(), snapshot, clusters[0], r.ground.Known)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range desired.Problems {
		t.Error(p)
	}
	var items []gitops.Item
	for _, item := range desired.Items {
		if item.From.Overlay == overlay {
			items = append(items, item)
		}
	}
	return items
}

// roleFact finds uses of role facts: data.role\.NAMESPACE\.SERVICEACCOUNT.
var roleFact = regexp.MustCompile(`data\.role\\\.([a-z0-9-]+)\\\.([a-z0-9-]+)`)

// facts are those of a cluster as EKS makes them, with a role for every service account that some component asks one for.
func facts(t testing.TB, dir, dns, version string) gitops.Facts {
	t.Helper()
	out := gitops.Facts{
		"account": "111122223333", "partition": "aws", "region": region, "clusterName": clusterName,
		"clusterArn":           "arn:aws:eks:" + region + ":111122223333:cluster/" + clusterName,
		"certificateAuthority": "bGFi", "endpoint": "https://0123456789ABCDEF.gr7." + region + ".eks.amazonaws.com",
		"kubernetesVersion": version, "kubernetesMinor": strings.TrimPrefix(version, "1."), "kubeDNSClusterIP": dns, "serviceCIDR": "10.100.0.0/16",
		"oidcIssuer":   "https://oidc.eks." + region + ".amazonaws.com/id/0123456789ABCDEF",
		"oidcProvider": "oidc.eks." + region + ".amazonaws.com/id/0123456789ABCDEF",
		"vpcId":        "vpc-0123456789abcdef0", "securityGroup": "sg-0123456789abcdef0",
		"subnetsPrivate": "subnet-0a,subnet-0b,subnet-0c", "subnetsPublic": "subnet-1a,subnet-1b,subnet-1c",
	}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(name) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(name)
		for _, match := range roleFact.FindAllSubmatch(text, -1) {
			out["role."+string(match[1])+"."+string(match[2])] = "arn:aws:iam::111122223333:role/" + string(match[1]) + "-" + string(match[2])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
