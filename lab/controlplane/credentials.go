package controlplane

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"

	"github.com/eks-gitops/reconciler/lab/pki"
)

// clients are who connects to the API server with a certificate, and in which file the kubeconfig is.
func clients() map[string]pki.Leaf {
	return map[string]pki.Leaf{
		"admin":              {CommonName: "lab:admin", Organizations: []string{"system:masters"}},
		"controller-manager": {CommonName: "system:kube-controller-manager"},
		"scheduler":          {CommonName: "system:kube-scheduler"},
		// kwok writes what kubelets of all nodes write; no narrower identity exists for that.
		Kwok: {CommonName: "lab:kwok", Organizations: []string{"system:masters"}},
		// What a cloud's own controllers do: nodes of instances, volumes, addons.
		"cloud": {CommonName: "eks:cloud-controller", Organizations: []string{"system:masters"}},
	}
}

func (p *Plane) writeCredentials() error {
	dir := p.spec.file("pki")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	var err error
	if p.ca, err = pki.OpenAuthority(dir, "ca", p.now); err != nil {
		return err
	}
	if p.frontCA, err = pki.OpenAuthority(dir, "front-proxy-ca", p.now); err != nil {
		return err
	}
	if err := pki.EnsureRSA(p.serviceAccountKey()); err != nil {
		return err
	}
	first, err := addressIn(p.spec.ServiceCIDR, 1)
	if err != nil {
		return err
	}
	server := pki.Leaf{CommonName: "kube-apiserver", Hosts: []string{
		"127.0.0.1", "localhost", p.spec.advertised(), first, "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	}}
	for _, one := range []struct {
		authority *pki.Authority
		name      string
		leaf      pki.Leaf
	}{
		{p.ca, "apiserver", server},
		{p.ca, "kubelet-client", pki.Leaf{CommonName: "kube-apiserver-kubelet-client", Organizations: []string{"system:masters"}}},
		{p.frontCA, "front-proxy-client", pki.Leaf{CommonName: "front-proxy-client"}},
	} {
		base := filepath.Join(dir, one.name)
		if err := one.authority.Ensure(base+".crt", base+".key", one.leaf); err != nil {
			return err
		}
	}
	for name, leaf := range clients() {
		if err := p.writeKubeconfig(name, leaf); err != nil {
			return err
		}
	}
	return nil
}

// writeKubeconfig embeds everything, so that the file can be copied and used anywhere on this machine.
func (p *Plane) writeKubeconfig(name string, leaf pki.Leaf) error {
	base := p.spec.file("pki", name)
	if err := p.ca.Ensure(base+".crt", base+".key", leaf); err != nil {
		return err
	}
	cert, err := os.ReadFile(base + ".crt")
	if err != nil {
		return fmt.Errorf("reading the certificate of %s: %w", name, err)
	}
	key, err := os.ReadFile(base + ".key")
	if err != nil {
		return fmt.Errorf("reading the key of %s: %w", name, err)
	}
	encode := base64.StdEncoding.EncodeToString
	return writeFile(p.spec.file(name+".kubeconfig"), fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- {name: %[1]q, cluster: {server: %[2]q, certificate-authority-data: %[3]s}}
users:
- {name: %[4]q, user: {client-certificate-data: %[5]s, client-key-data: %[6]s}}
contexts:
- {name: %[1]q, context: {cluster: %[1]q, user: %[4]q}}
current-context: %[1]q
`, p.spec.Cluster, p.Endpoint(), encode(p.ca.PEM), name, encode(cert), encode(key)))
}
