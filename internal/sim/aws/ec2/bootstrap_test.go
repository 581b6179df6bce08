package ec2

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseBootstrap(t *testing.T) {
	t.Parallel()
	const nodeadm = `MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="//"

--//
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  cluster:
    name: demo
    apiServerEndpoint: https://127.0.0.1:6443
    certificateAuthority: Y2E=
    cidr: 10.100.0.0/16
  kubelet:
    config:
      maxPods: 29
    flags:
    - --node-labels=role=web,empty=,alpha.eksctl.io/nodegroup-name=own
    - --register-with-taints=a=b:NoSchedule,c=:NoExecute
--//
Content-Type: text/x-shellscript; charset="us-ascii"

#!/bin/bash
true
--//
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  kubelet:
    config:
      maxPods: 17
--//--
`
	const bottlerocket = `[settings]
[settings.host-containers.admin]
enabled = false
[settings.kubernetes]
api-server = "https://127.0.0.1:6443"
cluster-name = "demo"
max-pods = 35
[settings.kubernetes.node-labels]
"alpha.eksctl.io/nodegroup-name" = "rocket"
[settings.kubernetes.node-taints]
a = ["b:NoSchedule", ":PreferNoSchedule"]
`
	for _, tt := range []struct {
		name, data string
		want       bootstrap
	}{
		{"nodeadm in MIME", nodeadm, bootstrap{
			cluster: "demo", endpoint: "https://127.0.0.1:6443", maxPods: "17",
			labels: map[string]string{"role": "web", "empty": "", "alpha.eksctl.io/nodegroup-name": "own"},
			taints: []Taint{{"a", "b", "NoSchedule"}, {"c", "", "NoExecute"}},
		}},
		{"bottlerocket", bottlerocket, bootstrap{
			cluster: "demo", endpoint: "https://127.0.0.1:6443", maxPods: "35",
			labels: map[string]string{"alpha.eksctl.io/nodegroup-name": "rocket"},
			taints: []Taint{{"a", "b", "NoSchedule"}, {"a", "", "PreferNoSchedule"}},
		}},
		{"a script of one's own", "#!/bin/bash\necho hello\n", bootstrap{}},
		{"nothing", "", bootstrap{}},
		{"broken MIME", "Content-Type: multipart/mixed; boundary=\"x\"\n\n--x\nbroken", bootstrap{}},
		{"broken YAML", "apiVersion: node.eks.aws/v1alpha1\nkind: [", bootstrap{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, parseBootstrap(tt.data), cmp.AllowUnexported(bootstrap{})); diff != "" {
				t.Errorf("bootstrap (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseBootstrap(f *testing.F) {
	f.Add("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"//\"\n\n--//\nContent-Type: application/node.eks.aws\n\nkind: NodeConfig\n--//--\n")
	f.Add("[settings.kubernetes]\ncluster-name = \"a\"\n")
	f.Fuzz(func(_ *testing.T, data string) { parseBootstrap(data) })
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value, pattern string
		want           bool
	}{
		{"eksctl-demo", "eksctl-*", true}, {"eksctl-demo", "*demo", true}, {"eksctl-demo", "eksctl-dem?", true}, {"eksctl-demo", "eksctl", false},
		{"", "", true}, {"", "*", true}, {"a", "", false}, {"a*b", `a\*b`, true}, {"axb", `a\*b`, false}, {"aaa", "a*a*a", true}, {"ab", "a?c", false},
	} {
		if got := matches(tt.value, tt.pattern); got != tt.want {
			t.Errorf("%q matches %q: %v", tt.value, tt.pattern, got)
		}
	}
}

// TestMaxPods compares with the numbers of the VPC CNI's table for one type of each kind.
func TestMaxPods(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{
		"m5.large": 29, "m5.xlarge": 58, "m5.4xlarge": 234, "m5.24xlarge": 737, "t3.micro": 4, "t3.small": 11, "t3.medium": 17, "t3a.small": 8,
		"c5.9xlarge": 234, "m6g.medium": 8, "r5.2xlarge": 58, "g4dn.xlarge": 29, "g4dn.12xlarge": 234, "p3.2xlarge": 58,
	} {
		m, ok := FindMachineType(name)
		if !ok || m.MaxPods() != want {
			t.Errorf("%s has %d pods, want %d", name, m.MaxPods(), want)
		}
	}
}
