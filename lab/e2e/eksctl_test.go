package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eks-gitops/reconciler/lab/labtest"
)

const clusterFile = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: trip, region: us-west-2, version: "1.34", tags: {team: lab}}
iam:
  withOIDC: true
  serviceAccounts:
  - metadata: {name: reader, namespace: apps}
    attachPolicyARNs: ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
  podIdentityAssociations:
  - namespace: apps
    serviceAccountName: dns
    permissionPolicyARNs: ["arn:aws:iam::aws:policy/AmazonRoute53FullAccess"]
addons:
- {name: vpc-cni}
- {name: coredns}
- {name: kube-proxy}
- {name: eks-pod-identity-agent}
managedNodeGroups:
- {name: managed, instanceType: m5.large, minSize: 1, maxSize: 4, desiredCapacity: 2, labels: {role: worker}}
nodeGroups:
- name: own
  instanceType: m5.large
  minSize: 0
  maxSize: 3
  desiredCapacity: 1
  labels: {role: own}
  taints: [{key: dedicated, value: own, effect: NoSchedule}]
`

const upgradeFile = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: rise, region: us-west-2, version: "1.34"}
managedNodeGroups:
- {name: managed, instanceType: m5.large, minSize: 1, maxSize: 4, desiredCapacity: 2}
`

// TestEksctlRoundTrip makes a cluster and takes it down again with the unmodified eksctl CLI. What eksctl says is checked against what
// AWS and Kubernetes say. eksctl itself waits 20 to 30 seconds between looks, whatever the lab's speed, so what is done to a
// cluster in between, and the upgrade, have clusters and labs of their own at the same time.
func TestEksctlRoundTrip(t *testing.T) {
	t.Parallel()
	p, file := newTrip(t, "trip", clusterFile)
	createCluster(t, p, file)
	deleteCluster(t, p, file)
}

// TestEksctlChanges does to a cluster what the unmodified eksctl CLI can do to it. Steps that do not meet each other run at the same time.
func TestEksctlChanges(t *testing.T) {
	t.Parallel()
	p, file := newTrip(t, "trip", clusterFile)
	p.says(t, `EKS cluster "trip" in "us-west-2" region is ready`, "create", "cluster", "-f", file)
	// Not t.Parallel: how many of these wait at a time must not depend on the number of cores.
	var group sync.WaitGroup
	for name, step := range map[string]func(*testing.T, *programs){
		"managed nodegroup": scaleManaged, "self-managed nodegroup": scaleOwn, "further nodegroup": furtherGroup,
		"addon": changeAddons, "service account": serviceAccount, "pod identity": podIdentity,
	} {
		group.Go(func() { t.Run(name, func(t *testing.T) { step(t, p) }) })
	}
	group.Wait()
}

// TestEksctlUpgrade raises a cluster and its nodegroup by a minor version with the unmodified eksctl CLI.
func TestEksctlUpgrade(t *testing.T) {
	t.Parallel()
	p, file := newTrip(t, "rise", upgradeFile)
	p.says(t, `EKS cluster "rise" in "us-west-2" region is ready`, "create", "cluster", "-f", file)
	upgrade(t, p)
	deleteCluster(t, p, file)
}

func newTrip(t *testing.T, cluster, config string) (p *programs, file string) {
	t.Helper()
	p = newPrograms(t, labtest.Start(t, labtest.Options{}), cluster)
	file = filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return p, file
}

func createCluster(t *testing.T, p *programs, file string) {
	p.says(t, `EKS cluster "trip" in "us-west-2" region is ready`, "create", "cluster", "-f", file)
	var cluster struct {
		Cluster struct {
			Status, Version, Endpoint string
			Tags                      map[string]string
			Identity                  struct{ OIDC struct{ Issuer string } }
		}
	}
	p.aws(t, &cluster, "eks", "describe-cluster", "--name", "trip")
	if c := cluster.Cluster; c.Status != "ACTIVE" || c.Version != "1.34" || c.Tags["team"] != "lab" || c.Identity.OIDC.Issuer == "" {
		t.Errorf("the cluster is %+v", c)
	}
	p.says(t, "trip", "get", "cluster")
	if got := p.text(t, "eks", "list-addons", "--cluster-name", "trip", "--query", "addons"); !slices.Contains(got, "vpc-cni") || !slices.Contains(got, "eks-pod-identity-agent") {
		t.Errorf("add-ons are %v", got)
	}
	if got := p.text(t, "iam", "list-open-id-connect-providers", "--query", "OpenIDConnectProviderList[].Arn"); len(got) != 1 {
		t.Errorf("OIDC providers are %v", got)
	}
	for group, count := range map[string]int{"managed": 2, "own": 1} {
		if got := p.nodes(t, group); len(got) != count {
			t.Errorf("node group %s has the nodes %v", group, got)
		}
	}
	if got := p.text(t, "ec2", "describe-instances", "--filters", "Name=instance-state-name,Values=running", "--query", "Reservations[].Instances[].InstanceId"); len(got) != 3 {
		t.Errorf("instances are %v", got)
	}
	if got := p.kubectl(t, "get", "nodes", "-l", "role=own", "-o", "jsonpath={.items[0].spec.taints[?(@.key=='dedicated')].value}"); got != "own" {
		t.Errorf("the self-managed node has the taint %q", got)
	}
	if got := p.kubectl(t, "get", "serviceaccount", "reader", "-n", "apps", "-o", `jsonpath={.metadata.annotations.eks\.amazonaws\.com/role-arn}`); !strings.Contains(got, ":role/") {
		t.Errorf("the service account has the role %q", got)
	}
	p.kubectl(t, "rollout", "status", "deployment/coredns", "-n", "kube-system", "--timeout=60s")
	for _, stack := range p.stacks(t) {
		if !strings.HasSuffix(stack, "=CREATE_COMPLETE") && !strings.HasSuffix(stack, "=UPDATE_COMPLETE") {
			t.Errorf("stack %s", stack)
		}
	}
}

// stacks lists NAME=STATUS of the stacks that are not deleted.
func (p *programs) stacks(t *testing.T) []string {
	t.Helper()
	var list []struct{ StackName, StackStatus string }
	p.aws(t, &list, "cloudformation", "list-stacks", "--query", "StackSummaries[?StackStatus!='DELETE_COMPLETE'].{StackName:StackName,StackStatus:StackStatus}")
	var out []string
	for _, s := range list {
		out = append(out, s.StackName+"="+s.StackStatus)
	}
	return out
}

// stack tells the status of one stack, empty if there is none.
func (p *programs) stack(t *testing.T, name string) string {
	t.Helper()
	for _, stack := range p.stacks(t) {
		if status, ok := strings.CutPrefix(stack, name+"="); ok {
			return status
		}
	}
	return ""
}

func scaleManaged(t *testing.T, p *programs) {
	p.says(t, "managed", "get", "nodegroup", "--cluster", "trip")
	p.says(t, "nodegroup successfully scaled", "scale", "nodegroup", "--cluster", "trip", "--name", "managed", "--nodes", "3", "--wait")
	var group struct {
		Nodegroup struct {
			Status        string
			ScalingConfig struct{ DesiredSize int }
		}
	}
	p.aws(t, &group, "eks", "describe-nodegroup", "--cluster-name", "trip", "--nodegroup-name", "managed")
	if group.Nodegroup.ScalingConfig.DesiredSize != 3 {
		t.Errorf("the node group is %+v", group)
	}
	eventually(t, "three nodes", func() bool { return len(p.nodes(t, "managed")) == 3 })
	p.says(t, "initiated scaling", "scale", "nodegroup", "--cluster", "trip", "--name", "managed", "--nodes", "2")
	eventually(t, "two nodes", func() bool { return len(p.nodes(t, "managed")) == 2 })
}

func scaleOwn(t *testing.T, p *programs) {
	p.says(t, "initiated scaling", "scale", "nodegroup", "--cluster", "trip", "--name", "own", "--nodes", "2")
	eventually(t, "two nodes", func() bool { return len(p.nodes(t, "own")) == 2 })
	if got := p.text(t, "autoscaling", "describe-auto-scaling-groups", "--query",
		"AutoScalingGroups[?contains(AutoScalingGroupName,'nodegroup-own')].[DesiredCapacity,length(Instances)]"); !slices.Equal(got, []string{"2", "2"}) {
		t.Errorf("the Auto Scaling group has desired capacity and instances %v", got)
	}
	p.says(t, "initiated scaling", "scale", "nodegroup", "--cluster", "trip", "--name", "own", "--nodes", "1")
	eventually(t, "one node", func() bool { return len(p.nodes(t, "own")) == 1 })
}

func furtherGroup(t *testing.T, p *programs) {
	const stack = "eksctl-trip-nodegroup-extra"
	p.says(t, `created 1 managed nodegroup(s) in cluster "trip"`, "create", "nodegroup", "--cluster", "trip", "--name", "extra",
		"--node-type", "m5.large", "--nodes", "1", "--nodes-min", "0", "--nodes-max", "2", "--node-labels", "pool=extra")
	nodes := p.nodes(t, "extra")
	if len(nodes) != 1 || p.stack(t, stack) != "CREATE_COMPLETE" {
		t.Fatalf("the node group has the nodes %v, its stack is %q", nodes, p.stack(t, stack))
	}
	p.kubectl(t, "create", "deployment", "guest", "--image=nginx", "--replicas=2")
	p.kubectl(t, "patch", "deployment", "guest", "-p", `{"spec":{"template":{"spec":{"nodeSelector":{"pool":"extra"}}}}}`)
	p.kubectl(t, "rollout", "status", "deployment/guest", "--timeout=60s")
	p.says(t, "drained all nodes", "drain", "nodegroup", "--cluster", "trip", "--name", "extra")
	if got := p.kubectl(t, "get", "node", nodes[0], "-o", "jsonpath={.spec.unschedulable}"); got != "true" {
		t.Errorf("the drained node is unschedulable: %q", got)
	}
	if got := p.kubectl(t, "get", "pods", "-l", "app=guest", "-o", "jsonpath={.items[*].spec.nodeName}"); got != "" {
		t.Errorf("pods are still on %q", got)
	}
	p.kubectl(t, "delete", "deployment", "guest")
	p.says(t, `deleted 1 nodegroup(s) from cluster "trip"`, "delete", "nodegroup", "--cluster", "trip", "--name", "extra", "--drain=false", "--wait")
	if got := p.nodes(t, "extra"); len(got) != 0 || p.stack(t, stack) != "" {
		t.Errorf("left are the nodes %v, the stack is %q", got, p.stack(t, stack))
	}
	p.refused(t, "ResourceNotFoundException", "eks", "describe-nodegroup", "--cluster-name", "trip", "--nodegroup-name", "extra")
}

func changeAddons(t *testing.T, p *programs) {
	p.eksctl(t, "create", "addon", "--cluster", "trip", "--name", "metrics-server", "--wait")
	if got := p.text(t, "eks", "describe-addon", "--cluster-name", "trip", "--addon-name", "metrics-server", "--query", "addon.status"); !slices.Equal(got, []string{"ACTIVE"}) {
		t.Errorf("the add-on is %v", got)
	}
	p.says(t, "metrics-server", "get", "addon", "--cluster", "trip")
	p.kubectl(t, "wait", "--for=condition=Available", "apiservice/v1beta1.metrics.k8s.io", "--timeout=60s")
	eventually(t, "metrics of nodes", func() bool {
		out, err := p.lab.Command(t, p.paths["kubectl"], "--context", "trip", "top", "nodes").CombinedOutput()
		return err == nil && strings.Contains(string(out), "CPU")
	})
	p.eksctl(t, "update", "addon", "--cluster", "trip", "--name", "metrics-server", "--version", "latest", "--force", "--wait")
	p.eksctl(t, "delete", "addon", "--cluster", "trip", "--name", "metrics-server")
	eventually(t, "the add-on to go", func() bool {
		return !slices.Contains(p.text(t, "eks", "list-addons", "--cluster-name", "trip", "--query", "addons"), "metrics-server")
	})
	eventually(t, "its Deployment to go", func() bool {
		return p.kubectl(t, "get", "deployment", "metrics-server", "-n", "kube-system", "--ignore-not-found", "-o", "name") == ""
	})
}

func serviceAccount(t *testing.T, p *programs) {
	const stack = "eksctl-trip-addon-iamserviceaccount-apps-second"
	p.eksctl(t, "create", "iamserviceaccount", "--cluster", "trip", "--namespace", "apps", "--name", "second",
		"--attach-policy-arn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", "--approve")
	p.says(t, "second", "get", "iamserviceaccount", "--cluster", "trip")
	arn := p.kubectl(t, "get", "serviceaccount", "second", "-n", "apps", "-o", `jsonpath={.metadata.annotations.eks\.amazonaws\.com/role-arn}`)
	role := arn[strings.LastIndexByte(arn, '/')+1:]
	if got := p.text(t, "iam", "list-attached-role-policies", "--role-name", role, "--query", "AttachedPolicies[].PolicyName"); !slices.Equal(got, []string{"AmazonS3ReadOnlyAccess"}) {
		t.Errorf("role %s has the policies %v", role, got)
	}
	p.eksctl(t, "delete", "iamserviceaccount", "--cluster", "trip", "--namespace", "apps", "--name", "second", "--wait")
	p.refused(t, "NoSuchEntity", "iam", "get-role", "--role-name", role)
	if got := p.stack(t, stack); got != "" {
		t.Errorf("the stack is %s", got)
	}
}

func podIdentity(t *testing.T, p *programs) {
	p.eksctl(t, "create", "podidentityassociation", "--cluster", "trip", "--namespace", "apps", "--service-account-name", "pia",
		"--permission-policy-arns", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
	p.says(t, "pia", "get", "podidentityassociation", "--cluster", "trip")
	listing := []string{"eks", "list-pod-identity-associations", "--cluster-name", "trip", "--query", "associations[].serviceAccount"}
	if got := p.text(t, listing...); !slices.Contains(got, "pia") || !slices.Contains(got, "dns") {
		t.Errorf("associations are of %v", got)
	}
	p.eksctl(t, "delete", "podidentityassociation", "--cluster", "trip", "--namespace", "apps", "--service-account-name", "pia")
	if got := p.text(t, listing...); slices.Contains(got, "pia") {
		t.Errorf("associations are of %v", got)
	}
}

func upgrade(t *testing.T, p *programs) {
	p.says(t, `cluster "rise" control plane has been upgraded to version "1.35"`, "upgrade", "cluster", "--name", p.cluster, "--version", "1.35", "--approve")
	if got := p.text(t, "eks", "describe-cluster", "--name", p.cluster, "--query", "cluster.version"); !slices.Equal(got, []string{"1.35"}) {
		t.Errorf("the cluster's version is %v", got)
	}
	if got := p.kubectl(t, "get", "--raw", "/version"); !strings.Contains(got, `"minor": "35"`) {
		t.Errorf("the API server says %s", got)
	}
	p.says(t, "nodegroup successfully upgraded", "upgrade", "nodegroup", "--cluster", p.cluster, "--name", "managed", "--kubernetes-version", "1.35")
	if got := p.text(t, "eks", "describe-nodegroup", "--cluster-name", p.cluster, "--nodegroup-name", "managed", "--query", "nodegroup.[version,status]"); !slices.Equal(got, []string{"1.35", "ACTIVE"}) {
		t.Errorf("the node group is %v", got)
	}
	versions := strings.Fields(p.kubectl(t, "get", "nodes", "-l", "eks.amazonaws.com/nodegroup=managed", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}"))
	if len(versions) != 2 || slices.ContainsFunc(versions, func(v string) bool { return !strings.HasPrefix(v, "v1.35.") }) {
		t.Errorf("kubelets are of %v", versions)
	}
}

func deleteCluster(t *testing.T, p *programs, file string) {
	p.says(t, "all cluster resources were deleted", "delete", "cluster", "-f", file, "--wait", "--disable-nodegroup-eviction")
	p.refused(t, "ResourceNotFoundException", "eks", "describe-cluster", "--name", p.cluster)
	for what, left := range p.census(t) {
		if len(left) != 0 {
			t.Errorf("left are the %s %v", what, left)
		}
	}
	eventually(t, "the lab to forget the control plane", func() bool {
		status, err := p.lab.Status(t.Context())
		return err == nil && len(status.Clusters) == 0
	})
	if left, err := os.ReadDir(filepath.Join(p.lab.Dir, "clusters")); err != nil || len(left) != 0 {
		t.Errorf("folders left: %v %v", left, err)
	}
}

// census lists what AWS has that somebody made, sorted.
func (p *programs) census(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for what, args := range map[string][]string{
		"stacks":     {"cloudformation", "list-stacks", "--query", "StackSummaries[?StackStatus!='DELETE_COMPLETE'].StackName"},
		"instances":  {"ec2", "describe-instances", "--filters", "Name=instance-state-name,Values=pending,running,stopping,shutting-down", "--query", "Reservations[].Instances[].InstanceId"},
		"VPCs":       {"ec2", "describe-vpcs", "--filters", "Name=tag-key,Values=aws:cloudformation:stack-name", "--query", "Vpcs[].VpcId"},
		"interfaces": {"ec2", "describe-network-interfaces", "--query", "NetworkInterfaces[].NetworkInterfaceId"},
		"addresses":  {"ec2", "describe-addresses", "--query", "Addresses[].AllocationId"},
		"templates":  {"ec2", "describe-launch-templates", "--query", "LaunchTemplates[].LaunchTemplateName"},
		"groups":     {"autoscaling", "describe-auto-scaling-groups", "--query", "AutoScalingGroups[].AutoScalingGroupName"},
		"providers":  {"iam", "list-open-id-connect-providers", "--query", "OpenIDConnectProviderList[].Arn"},
		"roles":      {"iam", "list-roles", "--query", "Roles[?!starts_with(Path,'/aws-service-role/')].RoleName"},
		"clusters":   {"eks", "list-clusters", "--query", "clusters"},
	} {
		if out[what] = p.text(t, args...); out[what] != nil {
			slices.Sort(out[what])
		}
	}
	return out
}
