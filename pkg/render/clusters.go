package render

import (
	"cmp"
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

const (
	// clustersFolder holds one folder per cluster.
	clustersFolder = "clusters"
	policyFile     = "reconcile.yaml"
	approvalFolder = "approvals"
)

// Clusters implements engine.Renderer.
func (r *Renderer) Clusters(ctx context.Context, s gitops.Snapshot) ([]gitops.Cluster, error) {
	entries, err := fs.ReadDir(s.Files, clustersFolder)
	if err != nil {
		if broken(err) {
			return nil, unreadable(clustersFolder, err)
		}
		e := gitops.Errorf(gitops.ConfigInvalid, "the repository has no folder %q with a folder for each cluster", clustersFolder)
		e.Try = "put the ClusterConfig into clusters/NAME/cluster.yaml"
		return nil, e
	}
	var out []gitops.Cluster
	for _, entry := range entries {
		folder := path.Join(clustersFolder, entry.Name())
		if hidden(entry.Name()) || !isFolder(s.Files, folder, entry) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, gitops.Errorf(gitops.Interrupted, "reading %s: %w", folder, err)
		}
		out = append(out, r.cluster(s, folder))
	}
	return sameNames(out), nil
}

// hidden reports whether a folder is kept out of the search for clusters and overlays.
func hidden(name string) bool { return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") }

// isFolder follows symlinks. What cannot be followed is taken for a folder unless its name is a file's, so that the trouble is
// told and not overlooked.
func isFolder(files fs.FS, name string, entry fs.DirEntry) bool {
	if entry.Type()&(fs.ModeSymlink|fs.ModeIrregular) == 0 {
		return entry.IsDir()
	}
	info, err := fs.Stat(files, name)
	return err != nil && broken(err) && path.Ext(name) == "" || err == nil && info.IsDir()
}

// sameNames takes the ClusterConfigs from clusters that claim one name: which of them is meant must not be guessed.
func sameNames(clusters []gitops.Cluster) []gitops.Cluster {
	first := map[string]int{}
	for i := range clusters {
		if clusters[i].Config.Spec == nil {
			continue
		}
		j, taken := first[clusters[i].Name]
		if !taken {
			first[clusters[i].Name] = i
			continue
		}
		for _, pair := range [][2]int{{i, j}, {j, i}} {
			own, other := &clusters[pair[0]], &clusters[pair[1]]
			from := own.Config.From
			from.Fields = nil
			own.Problems = append(own.Problems, gitops.Errorf(gitops.ConfigInvalid, "the cluster name %q is also used in %s", own.Name, other.Folder).At(from))
		}
	}
	for i := range clusters {
		for _, p := range clusters[i].Problems {
			if p.Reason == gitops.ConfigInvalid {
				clusters[i].Config.Spec = nil
			}
		}
	}
	return clusters
}

func (r *Renderer) cluster(s gitops.Snapshot, folder string) gitops.Cluster {
	c := gitops.Cluster{Name: path.Base(folder), Folder: folder, Approvals: map[gitops.Digest]gitops.Approval{}}
	f := &folderReader{files: s.Files, cluster: &c, own: map[string]bool{}}
	own, failed := kustomizationFile(f.stat, folder)
	switch {
	case failed != nil:
		c.Problems = append(c.Problems, asConfig(failed))
	case own != "":
		r.configFromKustomization(f, own)
	default:
		f.configFromFiles()
	}
	f.approvals()
	f.overlays("")
	slices.Sort(c.Overlays)
	if f.none != nil {
		f.end()
	}
	if name := gitops.StringAt(c.Config.Spec, "metadata", "name"); name != "" {
		c.Name = name
	}
	f.policy()
	return c
}

// folderReader reads one cluster's folder into a Cluster.
type folderReader struct {
	files   fs.FS
	cluster *gitops.Cluster
	// own are folders that the cluster's own kustomization uses: they are no overlays.
	own map[string]bool
	// empty is the first YAML file beside the overlays that holds nothing.
	empty string
	// none says that there is no ClusterConfig; ends are what approvals say instead of which cluster ends.
	none *gitops.Error
	ends []end
}

func (f *folderReader) stat(name string) (fs.FileInfo, error) { return fs.Stat(f.files, name) }

func (f *folderReader) fail(e *gitops.Error) { f.cluster.Problems = append(f.cluster.Problems, e) }

func asConfig(e *gitops.Error) *gitops.Error {
	if e.Reason == gitops.RenderFailed {
		e.Reason = gitops.ConfigInvalid
	}
	return e
}

// yamlFiles lists the YAML files directly in a folder.
func (f *folderReader) yamlFiles(folder string) []string {
	entries, err := fs.ReadDir(f.files, folder)
	if err != nil {
		if !notThere(err) || broken(err) {
			f.fail(unreadable(folder, err))
		}
		return nil
	}
	var out []string
	for _, e := range entries {
		file := path.Join(folder, e.Name())
		switch path.Ext(e.Name()) {
		case ".yaml", ".yml", ".json":
			if !strings.HasPrefix(e.Name(), ".") && !isFolder(f.files, file, e) {
				out = append(out, file)
			}
		}
	}
	return out
}

// The kind of file that eksctl reads (https://eksctl.io/usage/schema/).
const (
	eksctlGroup   = "eksctl.io"
	configVersion = "eksctl.io/v1alpha5"
	configKind    = "ClusterConfig"
)

// isConfig reports whether a document is a ClusterConfig, or was meant to be one.
func isConfig(n *yaml.Node) (is, meant bool) {
	version, kind := text(n, "apiVersion"), text(n, "kind")
	is = version == configVersion && kind == configKind
	return is, is || strings.HasPrefix(version, eksctlGroup+"/") || strings.EqualFold(kind, configKind)
}

// candidate is a document that is, or was meant to be, the ClusterConfig.
type candidate struct {
	file string
	node *yaml.Node
	is   bool
}

// candidates looks through the files of the folder. Trouble in any of them is told: it might be the ClusterConfig.
func (f *folderReader) candidates() []candidate {
	var found []candidate
	for _, file := range f.yamlFiles(f.cluster.Folder) {
		if path.Base(file) == policyFile {
			continue
		}
		body, err := fs.ReadFile(f.files, file)
		if err != nil {
			f.fail(asConfig(unreadable(file, err)))
			continue
		}
		docs, failed := documents(file, body)
		if failed != nil {
			f.fail(asConfig(failed))
		}
		if failed == nil && len(docs) == 0 {
			f.empty = cmp.Or(f.empty, file)
		}
		for i, doc := range docs {
			is, meant := isConfig(doc)
			if !meant {
				continue
			}
			found = append(found, candidate{file: file, node: doc, is: is})
			if len(docs) > 1 {
				other := docs[(i+1)%len(docs)]
				if i > 0 {
					other = doc
				}
				f.fail(problem(gitops.ConfigInvalid, file, other.Line, "the file has several YAML documents: eksctl reads only the first, so a ClusterConfig stands alone in its file"))
				break
			}
		}
	}
	return found
}

// configFromFiles finds the ClusterConfig among the folder's files.
func (f *folderReader) configFromFiles() {
	found := f.candidates()
	switch {
	case len(found) == 0 && len(f.cluster.Problems) > 0:
	case len(found) == 0 && f.empty != "":
		e := problem(gitops.ConfigInvalid, f.empty, 1, "the file is empty, and the folder has no ClusterConfig: want apiVersion: %s and kind: %s", configVersion, configKind)
		e.Try = "bring its content back; to end the cluster: reconciler teardown " + f.cluster.Folder
		f.fail(e)
	case len(found) == 0:
		f.none = problem(gitops.ConfigInvalid, f.cluster.Folder, 0, "the folder has no ClusterConfig: want one YAML file with apiVersion: %s and kind: %s", configVersion, configKind)
		f.none.Try = "add it, or rename the folder to begin with _ if it is no cluster"
	case len(found) > 1:
		for _, other := range found[1:] {
			f.fail(problem(gitops.ConfigInvalid, other.file, other.node.Line, "the folder has a second ClusterConfig here; the first is %s", gitops.Position{File: found[0].file, Line: found[0].node.Line}))
		}
	case !found[0].is:
		n := found[0].node
		f.fail(problem(gitops.ConfigInvalid, found[0].file, n.Line, "want apiVersion: %s and kind: %s, not %s %s", configVersion, configKind, text(n, "apiVersion"), text(n, "kind")))
	default:
		f.config(found[0])
	}
}

// end takes a folder without a ClusterConfig for the end of a cluster, if it has nothing but an approval of that, and perhaps the policy.
func (f *folderReader) end() {
	if len(f.ends) == 0 {
		f.fail(f.none)
		return
	}
	first := f.ends[0].config
	switch {
	case len(f.cluster.Overlays) > 0:
		e := problem(gitops.ConfigInvalid, first.From.File, first.From.Line, "the end of cluster %s is approved, but its folder has more than that: %s", first.Ref.Name, strings.Join(f.cluster.Overlays, ", "))
		e.Try = "git rm -r " + path.Join(f.cluster.Folder, f.cluster.Overlays[0])
		f.fail(e)
	case slices.ContainsFunc(f.ends, func(other end) bool { return other.digest() != f.ends[0].digest() }):
		at := f.ends[1].config.From
		f.fail(problem(gitops.ConfigInvalid, at.File, at.Line, "another approval in the folder is about another cluster: %s", first.From.Position))
	default:
		f.cluster.Config, f.cluster.Policy, f.cluster.Ending = first, f.ends[0].policy, true
		f.cluster.LogGroups = slices.ContainsFunc(f.ends, func(e end) bool { return e.logGroups })
	}
}

// digest tells the ends of different clusters apart.
func (e end) digest() gitops.Digest {
	said := []any{e.config.Spec}
	if e.policy != nil {
		said = append(said, e.policy.Spec)
	}
	return gitops.DigestOf(said)
}

// config reads the document strictly. Its fields are checked by whoever knows eksctl's schema.
func (f *folderReader) config(from candidate) {
	spec, p := read(from.file, gitops.ConfigInvalid, from.node)
	f.cluster.Problems = append(f.cluster.Problems, p.problems...)
	name, _ := gitops.At(spec, "metadata", "name")
	text, isText := name.(string)
	if len(p.problems) == 0 && (!isText || text == "") {
		line := from.node.Line
		if k, _ := child(from.node, "metadata"); k != nil {
			line = k.Line
		}
		f.fail(problem(gitops.ConfigInvalid, from.file, line, "metadata.name must be the cluster's name"))
	}
	f.cluster.Config = configItem(spec, gitops.Origin{Position: gitops.Position{File: from.file, Line: from.node.Line}, Fields: p.fields})
	if len(f.cluster.Problems) > 0 {
		f.cluster.Config.Spec = nil
	}
}

func configItem(spec gitops.Tree, from gitops.Origin) gitops.Item {
	name := gitops.StringAt(spec, "metadata", "name")
	return gitops.Item{Ref: gitops.Ref{Domain: gitops.EKS, Kind: configKind, Namespace: name, Name: name}, Spec: spec, From: from}
}

// configFromKustomization renders the folder's own kustomization, which must come to one ClusterConfig and nothing else.
func (r *Renderer) configFromKustomization(f *folderReader, file string) {
	folder := f.cluster.Folder
	b := &builder{Renderer: r, view: newView(f.files), folder: folder}
	b.view.secrets = newDecrypter(f.files)
	b.view.secrets.closed = true
	out := b.config()
	for _, used := range out.folders {
		f.own[used] = true
	}
	for _, p := range out.problems {
		f.fail(asConfig(p))
	}
	for _, extra := range f.candidates() {
		if !out.read[extra.file] {
			f.fail(problem(gitops.ConfigInvalid, extra.file, extra.node.Line, "the folder's kustomization %s does not use this ClusterConfig; a cluster has one", file))
		}
	}
	switch {
	case len(f.cluster.Problems) > 0:
	case len(out.items) == 0:
		e := problem(gitops.ConfigInvalid, file, 0, "the kustomization of a cluster's folder renders its ClusterConfig, and this one renders none")
		e.Try = "move overlays into folders below " + folder
		f.fail(e)
	case len(out.items) > 1:
		at := out.items[1].From.Position
		f.fail(problem(gitops.ConfigInvalid, at.File, at.Line, "the kustomization renders a second ClusterConfig from here"))
	default:
		f.cluster.Config = out.items[0]
	}
}

// config renders ClusterConfigs.
func (b *builder) config() *rendered {
	b.configOnly = true
	return b.build()
}

// overlays finds the topmost folders with a kustomization.
func (f *folderReader) overlays(below string) {
	folder := path.Join(f.cluster.Folder, below)
	entries, err := fs.ReadDir(f.files, folder)
	if err != nil {
		f.fail(unreadable(folder, err))
		return
	}
	for _, e := range entries {
		name := path.Join(below, e.Name())
		full := path.Join(folder, e.Name())
		if hidden(e.Name()) || !isFolder(f.files, full, e) || f.own[full] {
			continue
		}
		file, failed := kustomizationFile(f.stat, full)
		switch {
		case failed != nil, file != "" && !f.component(file):
			// What is wrong with it is told when it is rendered: it is an overlay's trouble, not the cluster's.
			f.cluster.Overlays = append(f.cluster.Overlays, name)
		case file == "" && e.Type()&fs.ModeSymlink == 0:
			// A linked folder may be an overlay, but what is below it is somewhere else.
			f.overlays(name)
		}
	}
}

// component reports whether a kustomization is a Component, which is only ever included.
func (f *folderReader) component(file string) bool {
	body, err := fs.ReadFile(f.files, file)
	if err != nil {
		return false
	}
	docs, _ := documents(file, body)
	return len(docs) == 1 && text(docs[0], "kind") == "Component"
}
