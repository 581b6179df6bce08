package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// systemRoots are where Debian and other distributions keep the roots that the system trusts.
func systemRoots() []string {
	return []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"}
}

// writeBundle writes the system's roots and the lab's authority: SSL_CERT_FILE replaces what a program trusts, and the rest of
// the world has to stay trusted.
func writeBundle(authority []byte, file string) error {
	var content []byte
	for _, path := range systemRoots() {
		roots, err := os.ReadFile(path)
		if err == nil {
			content = slices.Concat(roots, []byte("\n"))
			break
		}
	}
	if err := os.WriteFile(file, slices.Concat(content, authority), 0o600); err != nil { //nolint:gosec // the path is made of the folder that the user gave
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}

// writeKubeconfig keeps one file with two contexts per serving cluster: NAME, which authenticates by an AWS token as on EKS, and
// NAME-admin, by a client certificate. What others wrote into the file (eksctl does) stays, and so does the current context as
// long as it exists.
func (d *Daemon) writeKubeconfig() error {
	d.kubeconfig.Lock()
	defer d.kubeconfig.Unlock()
	path := d.file(kubeconfigFile)
	merged, err := clientcmd.LoadFromFile(path)
	if err != nil {
		merged = api.NewConfig()
	}
	first := ""
	for _, m := range d.fleet.list() {
		status := m.status()
		switch {
		case status.Gone:
			forget(merged, m.name)
		case status.Ready:
			if err := d.addContexts(merged, m); err != nil {
				return err
			}
			if first == "" {
				first = m.name
			}
		}
	}
	if _, ok := merged.Contexts[merged.CurrentContext]; !ok {
		merged.CurrentContext = first
	}
	return replaceConfig(path, merged)
}

func (d *Daemon) addContexts(merged *api.Config, m *member) error {
	admin, err := clientcmd.LoadFromFile(filepath.Join(m.dir, "admin.kubeconfig"))
	if err != nil {
		return fmt.Errorf("reading the credentials of %s: %w", m.name, err)
	}
	merged.Clusters[m.name] = admin.Clusters[m.name]
	merged.AuthInfos[m.name+"-admin"] = admin.AuthInfos["admin"]
	merged.AuthInfos[m.name] = &api.AuthInfo{Exec: &api.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", Command: d.options.Executable, Args: []string{"token", "--dir", d.options.Dir, m.name},
		InteractiveMode: api.NeverExecInteractiveMode,
	}}
	merged.Contexts[m.name] = &api.Context{Cluster: m.name, AuthInfo: m.name}
	merged.Contexts[m.name+"-admin"] = &api.Context{Cluster: m.name, AuthInfo: m.name + "-admin"}
	return nil
}

func forget(merged *api.Config, name string) {
	delete(merged.Clusters, name)
	for _, user := range []string{name, name + "-admin"} {
		delete(merged.AuthInfos, user)
		delete(merged.Contexts, user)
	}
}

func replaceConfig(path string, merged *api.Config) error {
	content, err := clientcmd.Write(*merged)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	// A reader must never see half of it.
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(path+".new", path)
}
