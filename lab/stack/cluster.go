package stack

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/eks-gitops/reconciler/lab/cluster"
	"github.com/eks-gitops/reconciler/lab/controlplane"
	"github.com/eks-gitops/reconciler/lab/labtest"
	"github.com/eks-gitops/reconciler/lab/process"
	"github.com/eks-gitops/reconciler/lab/site"
)

// Patience bounds every wait. It is there against hanging and measures nothing.
const Patience = 6 * time.Minute

// Options say what cluster a test needs; the zero value is right for most.
type Options struct {
	// Version is the Kubernetes minor; empty means the newest of the lab.
	Version string
	// Nodes is how many nodes there are; 0 means 3, one in each zone.
	Nodes int
	// Standins answer for pods: aggregated APIs and webhooks need somebody.
	Standins []site.Standin
}

// Cluster is a control plane with nodes, and the repository that it is reconciled from.
type Cluster struct {
	Kube    kubernetes.Interface
	Objects dynamic.Interface
	// Admin has all rights.
	Admin *rest.Config
	// AdminFile is the kubeconfig of Admin.
	AdminFile string
	// Plane and Site are the lab's parts of it.
	Plane *controlplane.Plane
	Site  *site.Site

	repository *repository
	mu         sync.Mutex // one pass at a time
}

// Start starts a cluster, which ends with the test. It takes some four seconds and 900 MiB.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	c := &Cluster{}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	var err error
	c.Plane, err = controlplane.Open(controlplane.Spec{
		Cluster: clusterName, Dir: filepath.Join(t.TempDir(), "plane"), Version: o.Version, UnsafeNoFsync: true, Egress: true, Audit: true,
		Env: os.Environ(), Executable: labtest.Tool(t, "lab"),
	}, log, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	c.Site, err = site.New(site.Options{
		Plane: c.Plane, Region: region, Env: os.Environ(), MetricsServer: labtest.Tool(t, "metrics-server"), Standins: o.Standins, Log: log, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Plane.Kill)
	t.Cleanup(c.Site.Stop)
	// The test's own context ends before its cleanups, which still need the cluster.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), Patience)
	defer cancel()
	if err := c.Plane.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	c.Site.Cluster().SetSoftware([]cluster.Software{})
	c.Site.Cluster().SetMachines(machines(o.Nodes, c.Plane.Version()))
	c.Site.Start(context.WithoutCancel(t.Context()))
	c.connect(t)
	t.Cleanup(func() { c.tell(t) })
	c.repository = newRepository(t, c)
	c.awaitNodes(t, o.Nodes)
	return c
}

const (
	clusterName = "lab"
	region      = "eu-west-1"
)

func (c *Cluster) connect(t testing.TB) {
	t.Helper()
	var err error
	c.AdminFile = c.Plane.Kubeconfig("admin")
	if c.Admin, err = clientcmd.BuildConfigFromFlags("", c.AdminFile); err != nil {
		t.Fatal(err)
	}
	c.Admin.QPS = -1
	// Answers may carry warnings about old APIs; the product's own tests are where they matter.
	c.Admin.WarningHandler = rest.NoWarnings{}
	if c.Kube, err = kubernetes.NewForConfig(c.Admin); err != nil {
		t.Fatal(err)
	}
	if c.Objects, err = dynamic.NewForConfig(c.Admin); err != nil {
		t.Fatal(err)
	}
}

func (c *Cluster) awaitNodes(t testing.TB, count int) {
	t.Helper()
	Await(t, fmt.Sprintf("%d nodes to be Ready", count), func(ctx context.Context) (bool, error) {
		nodes, err := c.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		ready := 0
		for _, n := range nodes.Items {
			for _, condition := range n.Status.Conditions {
				if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
					ready++
				}
			}
		}
		return ready == count, nil
	})
}

// machines are nodes as a managed nodegroup of m5.2xlarge has them, spread over three zones.
func machines(count int, version string) map[string]cluster.Machine {
	out := map[string]cluster.Machine{}
	for i := range count {
		id, address := fmt.Sprintf("i-%017x", i+1), fmt.Sprintf("192.168.%d.%d", i/200, i%200+10)
		out[id] = cluster.Machine{
			ID: id, Name: "ip-" + strings.ReplaceAll(address, ".", "-") + "." + region + ".compute.internal", Address: address,
			Type: "m5.2xlarge", Region: region, Zone: region + string(rune('a'+i%3)), Arch: "amd64", OS: "Amazon Linux 2023",
			CPU: 8, Memory: 32768, MaxPods: 58, Version: "v" + version + ".0-eks-lab",
			Labels: map[string]string{"role": "system", "eks.amazonaws.com/nodegroup": "system", "alpha.eksctl.io/nodegroup-name": "system"},
		}
	}
	return out
}

// Await waits until check reports true; it ends the test when check fails or Patience is over.
func Await(t testing.TB, what string, check func(context.Context) (bool, error)) {
	t.Helper()
	if err := poll(t, what, check); err != nil {
		t.Fatal(err)
	}
}

func poll(t testing.TB, what string, check func(context.Context) (bool, error)) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), Patience)
	defer cancel()
	return process.Poll(ctx, 100*time.Millisecond, what, check)
}

// FreePort finds a port of loopback that nobody listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
