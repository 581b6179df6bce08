package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/fieldpath"
)

// files is the file system of a container below a folder: its mounts, filled with what their volumes hold.
type files struct {
	cluster   *Cluster
	pod       *corev1.Pod
	container *corev1.Container
	root      string
	// host says what stands for a file or folder of the node, by the path at which the container sees it.
	host map[string]string
	// mounts are the paths inside the container, longest first.
	mounts []string
}

// lay fills root with the container's mounts.
func (f *files) lay(t testing.TB) {
	t.Helper()
	for _, mount := range f.container.VolumeMounts {
		f.mounts = append(f.mounts, filepath.Clean(mount.MountPath))
	}
	slices.SortFunc(f.mounts, func(a, b string) int { return len(b) - len(a) })
	for path := range f.host {
		if !slices.Contains(f.mounts, path) {
			t.Fatalf("container %s of %s mounts nothing at %s", f.container.Name, f.pod.Name, path)
		}
	}
	for _, mount := range f.container.VolumeMounts {
		i := slices.IndexFunc(f.pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
		if i < 0 {
			t.Fatalf("container %s of %s mounts the volume %s, which is not there", f.container.Name, f.pod.Name, mount.Name)
		}
		f.mount(t, mount, f.pod.Spec.Volumes[i])
	}
}

func (f *files) mount(t testing.TB, mount corev1.VolumeMount, volume corev1.Volume) {
	t.Helper()
	at := filepath.Clean(mount.MountPath)
	if local := f.host[at]; local != "" {
		f.folder(t, filepath.Dir(f.inside(at)))
		if err := os.Symlink(local, f.inside(at)); err != nil {
			t.Fatal(err)
		}
		return
	}
	content := f.content(t, volume)
	switch {
	case content == nil: // something of the node, or a folder to write into
		f.folder(t, f.inside(at))
	case mount.SubPath != "":
		text, ok := content[mount.SubPath]
		if !ok {
			t.Fatalf("the volume %s of %s has no file %s", volume.Name, f.pod.Name, mount.SubPath)
		}
		f.file(t, f.inside(at), text)
	default:
		f.folder(t, f.inside(at))
		for name, text := range content {
			f.file(t, filepath.Join(f.inside(at), name), text)
		}
	}
}

// content is what a volume holds by relative path; nil for one that is empty at first.
func (f *files) content(t testing.TB, volume corev1.Volume) map[string]string {
	t.Helper()
	switch {
	case volume.ConfigMap != nil:
		return f.configMap(t, volume.ConfigMap.Name, volume.ConfigMap.Items, volume.ConfigMap.Optional)
	case volume.Secret != nil:
		return f.secret(t, volume.Secret.SecretName, volume.Secret.Items, volume.Secret.Optional)
	case volume.DownwardAPI != nil:
		return f.downward(t, volume.DownwardAPI.Items)
	case volume.Projected != nil:
		out := map[string]string{}
		for _, source := range volume.Projected.Sources {
			for name, text := range f.projected(t, source) {
				out[name] = text
			}
		}
		return out
	}
	return nil
}

func (f *files) projected(t testing.TB, source corev1.VolumeProjection) map[string]string {
	t.Helper()
	switch {
	case source.ConfigMap != nil:
		return f.configMap(t, source.ConfigMap.Name, source.ConfigMap.Items, source.ConfigMap.Optional)
	case source.Secret != nil:
		return f.secret(t, source.Secret.Name, source.Secret.Items, source.Secret.Optional)
	case source.DownwardAPI != nil:
		return f.downward(t, source.DownwardAPI.Items)
	case source.ServiceAccountToken != nil:
		return map[string]string{source.ServiceAccountToken.Path: f.cluster.token(t, f.account())}
	}
	t.Fatalf("a projected volume of %s has a source that no file can stand for here", f.pod.Name)
	return nil
}

func (f *files) account() string { return f.pod.Namespace + "/" + f.pod.Spec.ServiceAccountName }

func (f *files) configMap(t testing.TB, name string, items []corev1.KeyToPath, optional *bool) map[string]string {
	t.Helper()
	object, err := f.cluster.Kube.CoreV1().ConfigMaps(f.pod.Namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		return absent(t, err, optional)
	}
	data := map[string]string{}
	for key, value := range object.Data {
		data[key] = value
	}
	for key, value := range object.BinaryData {
		data[key] = string(value)
	}
	return picked(t, name, data, items)
}

func (f *files) secret(t testing.TB, name string, items []corev1.KeyToPath, optional *bool) map[string]string {
	t.Helper()
	object, err := f.cluster.Kube.CoreV1().Secrets(f.pod.Namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		return absent(t, err, optional)
	}
	data := map[string]string{}
	for key, value := range object.Data {
		data[key] = string(value)
	}
	return picked(t, name, data, items)
}

func absent(t testing.TB, err error, optional *bool) map[string]string {
	t.Helper()
	if optional == nil || !*optional {
		t.Fatal(err)
	}
	return map[string]string{}
}

// picked are the keys that a volume asks for, by path; all if it names none.
func picked(t testing.TB, name string, data map[string]string, items []corev1.KeyToPath) map[string]string {
	t.Helper()
	if len(items) == 0 {
		return data
	}
	out := map[string]string{}
	for _, item := range items {
		text, ok := data[item.Key]
		if !ok {
			t.Fatalf("%s has no key %s", name, item.Key)
		}
		out[item.Path] = text
	}
	return out
}

func (f *files) downward(t testing.TB, items []corev1.DownwardAPIVolumeFile) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, item := range items {
		if item.FieldRef == nil {
			t.Fatalf("the file %s of %s is of a kind that is not known here", item.Path, f.pod.Name)
		}
		text, err := fieldpath.ExtractFieldPathAsString(f.pod, item.FieldRef.FieldPath)
		if err != nil {
			t.Fatal(err)
		}
		out[item.Path] = text
	}
	return out
}

func (f *files) inside(path string) string { return filepath.Join(f.root, path) }

func (f *files) folder(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

// file writes a file whose text means the container's paths.
func (f *files) file(t testing.TB, path, text string) {
	t.Helper()
	f.folder(t, filepath.Dir(path))
	if utf8.ValidString(text) {
		text = f.here(text)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// here rewrites paths below the container's mounts to where those are on this machine. A path begins where a word does.
func (f *files) here(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		mount := f.mountAt(text, i)
		if mount == "" {
			out.WriteByte(text[i])
			i++
			continue
		}
		out.WriteString(f.inside(mount))
		i += len(mount)
	}
	return out.String()
}

// mountAt is the mount whose path stands at i, or nothing.
func (f *files) mountAt(text string, i int) string {
	if text[i] != '/' || i > 0 && partOfPath(text[i-1]) {
		return ""
	}
	for _, mount := range f.mounts {
		rest, found := strings.CutPrefix(text[i:], mount)
		if found && mount != "/" && (rest == "" || rest[0] == '/' || !partOfPath(rest[0])) {
			return mount
		}
	}
	return ""
}

func partOfPath(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("/._-", b) >= 0
}

// describe names the container in messages.
func (f *files) describe() string {
	return fmt.Sprintf("container %s of pod %s/%s", f.container.Name, f.pod.Namespace, f.pod.Name)
}
