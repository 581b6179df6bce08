package controlplane_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/eks-gitops/reconciler/lab/controlplane"
	"github.com/eks-gitops/reconciler/lab/labtest"
	"github.com/eks-gitops/reconciler/lab/process"
)

func client(t *testing.T, p *controlplane.Plane) kubernetes.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", p.Kubeconfig("admin"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wait(t *testing.T, what string, check func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := process.Poll(ctx, 100*time.Millisecond, what, func(ctx context.Context) (bool, error) { return check(ctx), nil }); err != nil {
		t.Fatal(err)
	}
}

// TestLifeOfAPlane goes through what a control plane has to survive. The folder's name is longer than the path of a unix
// socket may be.
func TestLifeOfAPlane(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep", 20), "plane")
	open := func(version string) *controlplane.Plane {
		p, err := controlplane.Open(controlplane.Spec{
			Cluster: "life", Dir: dir, Version: version, Executable: labtest.Tool(t, "lab"), Env: os.Environ(),
		}, slog.New(slog.DiscardHandler), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		return p
	}
	start := func(p *controlplane.Plane) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if err := p.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	p := open("1.33")
	start(p)
	c := client(t, p)
	serves(t, c, "1", "33")
	if err := p.Start(t.Context()); err == nil {
		t.Error("a running plane was started again")
	}
	if _, err := c.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	wait(t, "the controllers to work", func(ctx context.Context) bool {
		_, err := c.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err == nil
	})

	before := p.PIDs()[controlplane.APIServer]
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wait(t, "the API server to be started again", func(ctx context.Context) bool {
		now := p.PIDs()[controlplane.APIServer]
		_, err := c.CoreV1().ConfigMaps("default").Get(ctx, "kept", metav1.GetOptions{})
		return now != before && err == nil
	})

	if err := p.SetVersion(t.Context(), "1.35"); err != nil {
		t.Fatal(err)
	}
	serves(t, c, "1", "35")

	endpoint, pids := p.Endpoint(), p.PIDs()
	p.Kill()
	for name, pid := range pids {
		if process.Alive(pid) {
			t.Errorf("%s lives", name)
		}
	}
	again := open("")
	if again.Endpoint() != endpoint || again.Version() != "1.35" {
		t.Errorf("the plane came back at %s as %s", again.Endpoint(), again.Version())
	}
	start(again)
	if _, err := c.CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	again.Stop(ctx)
	if ctx.Err() != nil {
		t.Error("the plane did not end by itself")
	}
	if len(again.PIDs()) != 0 {
		t.Errorf("left are %v", again.PIDs())
	}
}

func serves(t *testing.T, c kubernetes.Interface, major, minor string) {
	t.Helper()
	version, err := c.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.Major != major || version.Minor != minor || !strings.HasPrefix(version.GitVersion, "v"+major+"."+minor+".") {
		t.Errorf("the API server is %+v", version)
	}
}

func TestABrokenStartSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := controlplane.Open(controlplane.Spec{Dir: dir, Executable: labtest.Tool(t, "lab"), Env: os.Environ(), Issuer: "::no-url"}, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.Start(ctx); err == nil || !strings.Contains(err.Error(), "service-account-issuer") {
		t.Errorf("got %v", err)
	}
	if len(p.PIDs()) != 0 {
		t.Errorf("left are %v", p.PIDs())
	}
}

// TestPodsAreReadyAgain: a pod that Kubernetes marked as not ready because its node was not heard of for a while is ready again, as a kubelet
// would say; one whose containers are not ready is not.
func TestPodsAreReadyAgain(t *testing.T) {
	t.Parallel()
	p, err := controlplane.Open(controlplane.Spec{
		Cluster: "again", Dir: filepath.Join(t.TempDir(), "plane"), Version: "1.36", Executable: labtest.Tool(t, "lab"), Env: os.Environ(),
	}, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	starting, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := p.Start(starting); err != nil {
		t.Fatal(err)
	}
	c := client(t, p)
	if _, err := c.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	wait(t, "the controllers to work", func(ctx context.Context) bool {
		_, err := c.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err == nil
	})
	pods := c.CoreV1().Pods("default")
	is := func(ctx context.Context, name string, want corev1.ConditionStatus) bool {
		pod, err := pods.Get(ctx, name, metav1.GetOptions{})
		return err == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady && c.Status == want })
	}
	for _, name := range []string{"forgotten", "unwell"} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "c", Image: "c"}}}}
		if _, err := pods.Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		wait(t, name+" to be ready", func(ctx context.Context) bool { return is(ctx, name, corev1.ConditionTrue) })
	}
	for name, conditions := range map[string][]corev1.PodConditionType{"unwell": {corev1.PodReady, corev1.ContainersReady}, "forgotten": {corev1.PodReady}} {
		pod, err := pods.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i, have := range pod.Status.Conditions {
			if slices.Contains(conditions, have.Type) {
				pod.Status.Conditions[i].Status = corev1.ConditionFalse
			}
		}
		if _, err := pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, "forgotten to be ready again", func(ctx context.Context) bool { return is(ctx, "forgotten", corev1.ConditionTrue) })
	if !is(t.Context(), "unwell", corev1.ConditionFalse) {
		t.Error("a pod whose containers are not ready is ready")
	}
}
