package cluster

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
)

func machine() Machine {
	return Machine{
		ID: "i-0123456789abcdef0", Name: "ip-192-168-1-2.us-west-2.compute.internal", Address: "192.168.1.2", Type: "m5.large",
		Region: "us-west-2", Zone: "us-west-2b", ZoneID: "usw2-az2", Arch: "amd64", OS: "Amazon Linux 2023", CPU: 2, Memory: 8192, MaxPods: 29,
		Version: "v1.34.1-eks-lab", Labels: map[string]string{"eks.amazonaws.com/nodegroup": "workers"},
		Taints: []corev1.Taint{{Key: "dedicated", Value: "gpu", Effect: corev1.TaintEffectNoSchedule}},
	}
}

func TestAMachineIsANodeAsEKSHasThem(t *testing.T) {
	t.Parallel()
	node := machine().node()
	for key, want := range map[string]string{
		"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": "ip-192-168-1-2.us-west-2.compute.internal",
		"node.kubernetes.io/instance-type": "m5.large", "topology.kubernetes.io/region": "us-west-2", "topology.kubernetes.io/zone": "us-west-2b",
		"topology.k8s.aws/zone-id": "usw2-az2", "eks.amazonaws.com/nodegroup": "workers",
	} {
		if node.Labels[key] != want {
			t.Errorf("label %s is %q, want %q", key, node.Labels[key], want)
		}
	}
	if want := "aws:///us-west-2b/i-0123456789abcdef0"; node.Spec.ProviderID != want {
		t.Errorf("provider id is %s, want %s", node.Spec.ProviderID, want)
	}
	if instanceOf(node) != machine().ID {
		t.Errorf("the instance of the node is %q", instanceOf(node))
	}
	// What `kubectl get node` shows for an m5.large of EKS: 1930m CPU; 8 GiB less 255 MiB, 29 times 11 MiB and 100 MiB.
	allocatable := node.Status.Allocatable
	if cpu, memory, pods := allocatable.Cpu().String(), allocatable.Memory().Value()>>20, allocatable.Pods().Value(); cpu != "1930m" || memory != 8192-255-319-100 || pods != 29 {
		t.Errorf("allocatable are %s CPU, %d MiB, %d pods", cpu, memory, pods)
	}
}

func TestCPUReservedFallsWithTheCores(t *testing.T) {
	t.Parallel()
	// https://docs.aws.amazon.com/eks/latest/userguide/choosing-instance-type.html and nodeadm: 6 %, 1 %, 0.5 %, 0.5 %, then 0.25 %.
	for cores, milli := range map[int]int64{1: 60, 2: 70, 4: 80, 8: 90, 16: 110, 96: 310} {
		_, allocatable := Machine{CPU: cores, Memory: 8192, MaxPods: 29}.resources()
		if got := int64(cores)*1000 - allocatable.Cpu().MilliValue(); got != milli {
			t.Errorf("of %d cores %dm are reserved, want %dm", cores, got, milli)
		}
	}
}

func TestEverySoftwareCanBeRendered(t *testing.T) {
	t.Parallel()
	c := &Cluster{options: Options{Region: "us-west-2", DNS: "10.100.0.10"}}
	names := installable()
	if len(names) < 7 || !slices.Contains(names, "vpc-cni") {
		t.Fatalf("installable are %v", names)
	}
	for _, name := range names {
		for _, role := range []string{"", "arn:aws:iam::111122223333:role/x"} {
			objects, err := c.render(Software{Name: name, Version: "v1.2.3-eksbuild.1", Namespace: "kube-system", RoleARN: role, Configuration: `{"replicaCount": 3}`})
			if err != nil || len(objects) == 0 {
				t.Errorf("%s: %d objects, %v", name, len(objects), err)
				continue
			}
			for _, object := range objects {
				if _, err := c.resourceName(object); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if object.GetLabels()[managedBy] != "EKS" {
					t.Errorf("%s: %s %s is not marked", name, object.GetKind(), object.GetName())
				}
				if object.GetKind() == "ServiceAccount" && (object.GetAnnotations()["eks.amazonaws.com/role-arn"] != role) {
					t.Errorf("%s: the service account has the role %q, want %q", name, object.GetAnnotations()["eks.amazonaws.com/role-arn"], role)
				}
			}
		}
	}
	if objects, err := c.render(Software{Name: "somebody-elses-addon"}); err != nil || len(objects) != 0 {
		t.Errorf("unknown software: %v, %v", objects, err)
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	for configuration, want := range map[string]int{"": 2, "{}": 2, `{"replicaCount": 5}`: 5, "replicaCount: 1\nresources: {}": 1, "replicaCount: 0": 0, "]broken": 2} {
		if got := replicas(configuration); got != want {
			t.Errorf("%q: got %d, want %d", configuration, got, want)
		}
	}
}

func TestMarksChangeWhatTheyNameOnly(t *testing.T) {
	t.Parallel()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"keep": "1", "drop": "1", "change": "1"}}}
	node.Spec.Taints = []corev1.Taint{
		{Key: "keep", Effect: corev1.TaintEffectNoSchedule}, {Key: "drop", Effect: corev1.TaintEffectNoSchedule}, {Key: "change", Value: "old", Effect: corev1.TaintEffectNoExecute},
		{Key: "drop", Effect: corev1.TaintEffectNoExecute},
	}
	Marks{
		Labels: map[string]string{"change": "2", "new": "1"}, DroppedLabels: []string{"drop"},
		Taints:        []corev1.Taint{{Key: "change", Value: "new", Effect: corev1.TaintEffectNoExecute}},
		DroppedTaints: []corev1.Taint{{Key: "drop", Effect: corev1.TaintEffectNoSchedule}},
	}.apply(node)
	if diff := cmp.Diff(map[string]string{"keep": "1", "change": "2", "new": "1"}, node.Labels); diff != "" {
		t.Error(diff)
	}
	want := []corev1.Taint{
		{Key: "keep", Effect: corev1.TaintEffectNoSchedule}, {Key: "drop", Effect: corev1.TaintEffectNoExecute}, {Key: "change", Value: "new", Effect: corev1.TaintEffectNoExecute},
	}
	if diff := cmp.Diff(want, node.Spec.Taints); diff != "" {
		t.Error(diff)
	}
}

func TestAVolumeIsWhereItsPodIs(t *testing.T) {
	t.Parallel()
	name := "gp2"
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "data", UID: types.UID("0f7cb815-fb6d-4cc5-aaf7-7ac9718c09b6")}}
	claim.Spec.StorageClassName = &name
	volume := volumeFor(claim, &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}}, "us-west-2b")
	if got := volume.Spec.CSI.VolumeHandle; got != "vol-00f7cb815fb6d4cc5" {
		t.Errorf("the volume is %s", got)
	}
	terms := volume.Spec.NodeAffinity.Required.NodeSelectorTerms
	if len(terms) != 1 || !slices.Equal(terms[0].MatchExpressions[0].Values, []string{"us-west-2b"}) {
		t.Errorf("the volume is reached from %v", terms)
	}
	if volume.Spec.ClaimRef.UID != claim.UID || volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
		t.Errorf("the volume is %+v", volume.Spec)
	}
}

func access(t *testing.T, objects ...metav1.Object) *Cluster {
	t.Helper()
	client := fake.NewClientset()
	for _, o := range objects {
		var err error
		switch o := o.(type) {
		case *corev1.ConfigMap:
			_, err = client.CoreV1().ConfigMaps(o.Namespace).Create(t.Context(), o, metav1.CreateOptions{})
		case *corev1.Namespace:
			_, err = client.CoreV1().Namespaces().Create(t.Context(), o, metav1.CreateOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return newCluster(Options{Log: slog.New(slog.DiscardHandler)}, nil, client, nil)
}

func TestAwsAuthMapsRolesAndUsers(t *testing.T) {
	t.Parallel()
	c := access(t, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "aws-auth"},
		Data: map[string]string{
			"mapRoles": "- rolearn: arn:aws:iam::1:role/node\n  username: system:node:{{EC2PrivateDNSName}}\n  groups: [system:nodes]\n",
			"mapUsers": "- userarn: arn:aws:iam::1:user/ann\n  username: ann\n  groups: [system:masters]\n",
		},
	})
	for principal, want := range map[string]string{
		"arn:aws:iam::1:role/node": "system:node:ip-1 system:nodes", "arn:aws:iam::1:user/ann": "ann system:masters", "arn:aws:iam::1:user/bob": "",
	} {
		user, groups, ok, err := c.Mapped(t.Context(), principal, "ip-1")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(user + " " + strings.Join(groups, ",")); got != want || ok != (want != "") {
			t.Errorf("%s is %q, %t; want %q", principal, got, ok, want)
		}
	}
	if _, _, ok, err := access(t).Mapped(t.Context(), "arn:aws:iam::1:user/ann", ""); ok || err != nil {
		t.Errorf("without aws-auth: %t, %v", ok, err)
	}
}

func TestGrantsAreBoundWhereTheyHold(t *testing.T) {
	t.Parallel()
	ns := func(name string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	c := access(t, ns("team-a"), ns("team-b"), ns("other"))
	grants := []eks.Grant{
		{Policy: "AmazonEKSViewPolicy", Role: "view"}, {Policy: "AmazonEKSEditPolicy", Role: "edit", Namespaces: []string{"team-*"}},
		{Policy: "AmazonEKSAdminViewPolicy"}, {Policy: "WithoutARole"},
	}
	first, err := c.Grant(t.Context(), grants)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Grant(t.Context(), grants)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error(diff)
	}
	everywhere, err := c.client.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	inside, err := c.client.RbacV1().RoleBindings("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, b := range everywhere.Items {
		got["*/"+b.RoleRef.Name] = b.Subjects[0].Name
	}
	for _, b := range inside.Items {
		got[b.Namespace+"/"+b.RoleRef.Name] = b.Subjects[0].Name
	}
	if len(first) != 3 {
		t.Fatalf("groups are %v", first)
	}
	if diff := cmp.Diff(map[string]string{"*/view": first[0], "team-a/edit": first[1], "team-b/edit": first[1], "*/eks:admin-view": first[2]}, got); diff != "" {
		t.Error(diff)
	}
}
