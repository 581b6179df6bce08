package controlplane

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// etcdArgs: clients come over a unix socket, so that no other user's process can read the cluster's secrets, and no port is
// taken. Peers have to be given a TCP address; there are none, so the kernel may choose.
func (p *Plane) etcdArgs() []string {
	args := []string{
		"--name=lab", "--data-dir=" + p.spec.file("etcd"),
		"--listen-client-urls=" + etcdURL,
		"--advertise-client-urls=http://127.0.0.1:0", "--listen-peer-urls=http://127.0.0.1:0",
		"--log-level=warn", "--auto-compaction-mode=periodic", "--auto-compaction-retention=10m",
		"--quota-backend-bytes=1073741824", "--snapshot-count=5000",
	}
	if p.spec.UnsafeNoFsync {
		args = append(args, "--unsafe-no-fsync")
	}
	return args
}

func (p *Plane) apiserverArgs() ([]string, error) {
	s := &p.spec
	pki := func(name string) string { return s.file("pki", name) }
	args := []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=127.0.0.1", "--advertise-address=" + s.advertised(), "--secure-port=" + strconv.Itoa(p.port),
		"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
		"--client-ca-file=" + p.ca.CertFile,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--service-account-issuer=" + p.issuer(), "--service-account-key-file=" + p.serviceAccountKey(),
		"--service-account-signing-key-file=" + p.serviceAccountKey(),
		// EKS's audiences: the issuer for the API, sts.amazonaws.com is asked for by pods with an IAM role.
		"--api-audiences=https://kubernetes.default.svc," + p.issuer(),
		"--service-cluster-ip-range=" + s.ServiceCIDR,
		"--requestheader-client-ca-file=" + p.frontCA.CertFile, "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + pki("front-proxy-client.crt"), "--proxy-client-key-file=" + pki("front-proxy-client.key"),
		"--kubelet-client-certificate=" + pki("kubelet-client.crt"), "--kubelet-client-key=" + pki("kubelet-client.key"),
		"--kubelet-certificate-authority=" + p.ca.CertFile, "--kubelet-preferred-address-types=InternalIP",
		// A call to an aggregated API or webhook goes to a pod itself, as on EKS, whose control plane knows no Services' addresses.
		"--enable-aggregator-routing=true",
		"--emulated-version=kube=" + s.Version, "--allow-privileged=true", "--profiling=false",
		// A lab's control planes share one small machine.
		"--endpoint-reconciler-type=lease", "--event-ttl=1h", "--goaway-chance=0",
		"--shutdown-delay-duration=0s", "--v=1",
	}
	if s.TokenWebhook != nil {
		file := s.file("webhook.kubeconfig")
		if err := writeFile(file, webhookConfig(*s.TokenWebhook)); err != nil {
			return nil, err
		}
		args = append(args, "--authentication-token-webhook-config-file="+file, "--authentication-token-webhook-version=v1",
			"--authentication-token-webhook-cache-ttl=30s")
	}
	if s.Egress {
		file := s.file("egress.yaml")
		if err := writeFile(file, egressConfig(EgressSocket)); err != nil {
			return nil, err
		}
		args = append(args, "--egress-selector-config-file="+file)
	}
	if s.Audit {
		file := s.file("audit.yaml")
		if err := writeFile(file, auditPolicy); err != nil {
			return nil, err
		}
		args = append(args, "--audit-policy-file="+file, "--audit-log-path="+p.AuditLog())
	}
	return args, nil
}

// auditPolicy logs who asked for what and whether it was allowed, never bodies. A watch is there when it has started.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: ["system:serviceaccounts"]
`

func (p *Plane) controllerManagerArgs() []string {
	config := p.spec.file("controller-manager.kubeconfig")
	args := []string{
		"--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
		"--use-service-account-credentials=true", "--service-account-private-key-file=" + p.serviceAccountKey(),
		"--root-ca-file=" + p.ca.CertFile, "--cluster-signing-cert-file=" + p.ca.CertFile, "--cluster-signing-key-file=" + p.ca.KeyFile,
		"--service-cluster-ip-range=" + p.spec.ServiceCIDR, "--allocate-node-cidrs=false",
		"--leader-elect=false", "--secure-port=0", "--profiling=false",
		"--kube-api-qps=100", "--kube-api-burst=200", "--v=1",
	}
	if len(p.spec.Controllers) > 0 {
		args = append(args, "--controllers="+strings.Join(p.spec.Controllers, ","))
	}
	return args
}

func (p *Plane) schedulerArgs() []string {
	config := p.spec.file("scheduler.kubeconfig")
	return []string{
		"--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
		"--leader-elect=false", "--secure-port=0", "--profiling=false", "--kube-api-qps=100", "--kube-api-burst=200", "--v=1",
	}
}

// kwokArgs: there is exactly one kwok per cluster; a second one would give pods a second address.
func (p *Plane) kwokArgs() []string {
	return []string{
		"--kubeconfig=" + p.spec.file("kwok.kubeconfig"), "--config=" + p.spec.file("kwok.yaml"),
		"--manage-all-nodes=true", "--node-lease-duration-seconds=40", "--cidr=" + p.spec.podCIDR(),
	}
}

// etcdURL is relative to the working directory, which is Spec.Dir for every component: the path of a unix socket may not be
// longer than 107 bytes, and tests live deep down.
const (
	etcdSocket = "etcd.sock"
	etcdURL    = "unix://" + etcdSocket
)

func (p *Plane) serviceAccountKey() string { return p.spec.file("pki", "service-account.key") }

func (p *Plane) issuer() string {
	if p.spec.Issuer != "" {
		return p.spec.Issuer
	}
	return "https://kubernetes.default.svc"
}

func (p *Plane) argsOf(name string) ([]string, error) {
	switch name {
	case Etcd:
		return p.etcdArgs(), nil
	case APIServer:
		return p.apiserverArgs()
	case ControllerManager:
		return p.controllerManagerArgs(), nil
	case Scheduler:
		return p.schedulerArgs(), nil
	case Kwok:
		return p.kwokArgs(), nil
	default:
		return nil, fmt.Errorf("no component is called %s", name)
	}
}

func webhookConfig(w Webhook) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- {name: webhook, cluster: {server: %q, certificate-authority: %q}}
users:
- {name: apiserver, user: {}}
contexts:
- {name: webhook, context: {cluster: webhook, user: apiserver}}
current-context: webhook
`, w.URL, w.CAFile)
}

// egressConfig says nothing of etcd: even a direct selection would make the API server dial etcd by TCP.
func egressConfig(socket string) string {
	return fmt.Sprintf(`apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport: {uds: {udsName: %q}}
- {name: controlplane, connection: {proxyProtocol: Direct}}
`, socket)
}

func writeFile(path, content string) error {
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil { //nolint:gosec // the path is made of the folder that the user gave
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
