package render

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// survey reads everything that an overlay's kustomization leads to before kustomize does. It refuses what must not run or be
// downloaded, explains what is broken by file and line, which kustomize cannot, and notes what the origins need.
type survey struct {
	view *view
	// layers are the kustomizations, those that include before those that are included.
	layers []*layer
	// objects are the documents of resource files by file; before are those of the last render, and sound those that the next one
	// may take over.
	objects       map[string][]*object
	before, sound map[string]resourceFile
	facts         references
	// schema says that the overlay brings its own OpenAPI schema.
	schema   bool
	problems []*gitops.Error
	visiting []string
}

// layer is one kustomization.
type layer struct {
	folder, file string
	root         *yaml.Node
	spec         types.Kustomization
	// reaches holds all files whose objects pass through this kustomization.
	reaches map[string]bool
	parent  *layer
	// resources and components are what it names; those that are broken are not among them.
	resources, components []entry
	// patches are its patches in the order in which kustomize applies them.
	patches []patchText
	// shares says that it works on what the overlay gathered: the overlay itself, its components, and theirs.
	shares bool
}

// entry is one of the resources or components of a kustomization: a file, or the folder of a layer.
type entry struct {
	text, file string
	layer      *layer
}

func newSurvey(v *view) *survey {
	return &survey{
		view: v, objects: map[string][]*object{}, sound: map[string]resourceFile{}, facts: references{keys: map[string]*reference{}},
	}
}

func (s *survey) fail(e *gitops.Error) { s.problems = append(s.problems, e) }

// kustomizationFile finds the kustomization of a folder; "" when there is none.
func kustomizationFile(stat func(string) (fs.FileInfo, error), folder string) (string, *gitops.Error) {
	var found []string
	for _, base := range konfig.RecognizedKustomizationFileNames() {
		file := path.Join(folder, base)
		info, err := stat(file)
		switch {
		case err == nil && !info.IsDir():
			found = append(found, file)
		case err != nil && !notThere(err), err != nil && broken(err):
			return "", unreadable(file, err)
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", problem(gitops.RenderFailed, found[1], 0, "the folder has two kustomizations, this one and %s", found[0])
}

// broken reports whether a file is there but the snapshot refuses to read it.
func broken(err error) bool {
	_, ok := errors.AsType[*gitops.Error](err)
	return ok
}

// unreadable gives an error of the snapshot the file it is about.
func unreadable(file string, err error) *gitops.Error {
	if e, ok := errors.AsType[*gitops.Error](err); ok {
		return e
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return problem(gitops.RenderFailed, file, 0, "cannot be read: %w", err)
}

// kustomization reads one, and everything it names. from is where it is named; parent includes it, as a component or not.
func (s *survey) kustomization(folder string, from gitops.Position, parent *layer, component bool) {
	if slices.Contains(s.visiting, folder) {
		s.fail(problem(gitops.RenderFailed, from.File, from.Line, "the kustomizations include each other in a circle: %s", strings.Join(append(s.visiting, folder), " -> ")))
		return
	}
	file, failed := kustomizationFile(s.view.stat, folder)
	if failed == nil && file == "" {
		failed = problem(gitops.RenderFailed, from.File, from.Line, "the folder %s has no kustomization.yaml", folder)
	}
	if failed != nil {
		s.fail(failed)
		return
	}
	l := s.load(folder, file, parent)
	if l == nil {
		return
	}
	l.shares = parent == nil || component && parent.shares
	s.layers = append(s.layers, l)
	s.visiting = append(s.visiting, folder)
	defer func() { s.visiting = s.visiting[:len(s.visiting)-1] }()
	s.refusals(l)
	s.charts(l)
	s.resources(l)
	s.operators(l)
	s.generators(l)
}

// read gives the documents of a file; what cannot be parsed of it is a problem. Not ok is a file that cannot be read at all.
func (s *survey) read(file string) (docs []*yaml.Node, ok bool) {
	body, err := s.view.text(file)
	if err != nil {
		s.fail(unreadable(file, err))
		return nil, false
	}
	docs, failed := documents(file, body)
	if failed != nil {
		s.fail(failed)
	}
	for _, doc := range docs {
		s.problems = append(s.problems, twice(file, doc)...)
	}
	return docs, true
}

// load parses a kustomization file strictly.
func (s *survey) load(folder, file string, parent *layer) *layer {
	body, err := s.view.ReadFile(file)
	if err != nil {
		s.fail(unreadable(file, err))
		return nil
	}
	if s.view.secrets.of(file) != nil {
		s.fail(problem(gitops.DecryptFailed, file, 0, "a kustomization cannot be encrypted: encrypt the files that it names"))
		return nil
	}
	docs, failed := documents(file, body)
	switch {
	case failed != nil:
		s.fail(failed)
		return nil
	case len(docs) == 0:
		s.fail(problem(gitops.RenderFailed, file, 0, "the kustomization is empty"))
		return nil
	case len(docs) > 1:
		s.fail(problem(gitops.RenderFailed, file, docs[1].Line, "a second YAML document begins here: kustomize would ignore it"))
		return nil
	}
	if _, p := read(file, gitops.RenderFailed, docs[0]); len(p.problems) > 0 {
		s.problems = append(s.problems, p.problems...)
		return nil
	}
	l := &layer{folder: folder, file: file, root: docs[0], reaches: map[string]bool{}, parent: parent}
	if err := l.spec.Unmarshal(body); err != nil {
		s.fail(misread(file, docs[0], err))
		return nil
	}
	l.spec.FixKustomization()
	if problems := l.spec.EnforceFields(); len(problems) > 0 {
		s.fail(problem(gitops.RenderFailed, file, docs[0].Line, "%s", strings.Join(problems, "; ")))
		return nil
	}
	if err := l.spec.CheckEmpty(); err != nil {
		s.fail(problem(gitops.RenderFailed, file, docs[0].Line, "the kustomization is empty"))
		return nil
	}
	return l
}

// misread finds the line of the field that an error of the decoder names.
func misread(file string, root *yaml.Node, err error) *gitops.Error {
	message := strings.TrimPrefix(firstLine(err), "invalid Kustomization: ")
	line := root.Line
	if m := regexp.MustCompile(`unknown field "([^"]+)"`).FindStringSubmatch(message); m != nil {
		message = "unknown field " + m[1]
		if k := keyNamed(root, m[1]); k != nil {
			line = k.Line
		}
	} else if m := regexp.MustCompile(`cannot unmarshal (\S+) into Go struct field \S*?\.([a-zA-Z0-9.]+) of type (\S+)`).FindStringSubmatch(message); m != nil {
		field := m[2][strings.LastIndexByte(m[2], '.')+1:]
		message = "the field " + field + " cannot be a " + m[1]
		if k := keyNamed(root, field); k != nil {
			line = k.Line
		}
	}
	return problem(gitops.RenderFailed, file, line, "%s", message)
}

// keyNamed finds the first key of a name anywhere below a node.
func keyNamed(n *yaml.Node, key string) *yaml.Node {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i]
			}
		}
	}
	for _, c := range n.Content {
		if found := keyNamed(c, key); found != nil {
			return found
		}
	}
	return nil
}

// refusals checks what a kustomization says itself.
func (s *survey) refusals(l *layer) {
	if _, v := child(l.root, "openapi"); v != nil {
		s.schema = true
		if _, p := child(v, "path"); p != nil {
			s.file(p, p.Value, l.folder, l.file)
		}
	}
}

// resolve makes a path that a file names one of the repository, and checks that it is there.
func (s *survey) resolve(n *yaml.Node, p, folder, file string) (full string, isFolder, ok bool) {
	at := gitops.Position{File: file, Line: n.Line}
	switch {
	case p == "":
		s.fail(problem(gitops.RenderFailed, at.File, at.Line, "the path is empty"))
		return "", false, false
	case remote(p):
		s.fail(refuseRemote(p, at))
		return "", false, false
	case path.IsAbs(p):
		s.fail(problem(gitops.RenderFailed, at.File, at.Line, "%s is an absolute path; name it from the folder of this file", p))
		return "", false, false
	}
	real, err := s.view.real(folder)
	if err != nil {
		real = folder
	}
	full = path.Join(real, p)
	if full == ".." || strings.HasPrefix(full, "../") {
		s.fail(problem(gitops.SourceInvalid, at.File, at.Line, "%s leaves the repository", p))
		return "", false, false
	}
	info, err := s.view.stat(full)
	switch {
	case err != nil && broken(err):
		e := *unreadable(full, err)
		e.Err = gitops.Errorf(e.Reason, "%w (named by %s)", e.Err, at).Err
		s.fail(&e)
		return "", false, false
	case err != nil && notThere(err):
		s.fail(problem(gitops.RenderFailed, at.File, at.Line, "%s does not exist (looked for %s)", p, full))
		return "", false, false
	case err != nil:
		s.fail(unreadable(full, err))
		return "", false, false
	}
	return full, info.IsDir(), true
}

// file checks a path that must name a file in or below the folder, and returns it.
func (s *survey) file(n *yaml.Node, p, folder, file string) string {
	full, isFolder, ok := s.resolve(n, p, folder, file)
	switch {
	case !ok:
		return ""
	case isFolder:
		s.fail(problem(gitops.RenderFailed, file, n.Line, "%s is a folder; want a file", p))
		return ""
	case !s.contained(full, folder):
		s.outside(n, p, file)
		return ""
	}
	return full
}

// contained reports whether a file is where kustomize lets a kustomization read files, symlinks resolved.
func (s *survey) contained(full, folder string) bool {
	at, err := s.view.real(full)
	if err != nil {
		return false
	}
	root, err := s.view.real(folder)
	return err == nil && (root == "." || strings.HasPrefix(at, root+"/"))
}

func (s *survey) outside(n *yaml.Node, p, file string) {
	e := problem(gitops.RenderFailed, file, n.Line, "%s is outside the folder of this kustomization: kustomize reads files only in or below it", p)
	e.Try = "move the file, or make it a base with a kustomization of its own"
	s.fail(e)
}

// resources follows resources, bases and components.
func (s *survey) resources(l *layer) {
	for _, key := range []string{"resources", "bases", "components"} {
		_, list := child(l.root, key)
		for _, n := range items(list) {
			full, isFolder, ok := s.resolve(n, n.Value, l.folder, l.file)
			e := entry{text: n.Value, file: full}
			switch {
			case !ok:
				continue
			case !isFolder && !s.contained(full, l.folder):
				s.outside(n, n.Value, l.file)
				continue
			case isFolder:
				before := len(s.layers)
				s.kustomization(full, gitops.Position{File: l.file, Line: n.Line}, l, key == "components")
				s.reach(l, s.layers[before:])
				if len(s.layers) > before {
					e.layer = s.layers[before]
				}
			default:
				l.reaches[full] = true
				s.resource(full)
			}
			if key == "components" {
				l.components = append(l.components, e)
			} else {
				l.resources = append(l.resources, e)
			}
		}
	}
}

// reach notes that what passes through inner layers passes through the outer one.
func (s *survey) reach(outer *layer, inner []*layer) {
	for _, l := range inner {
		outer.reaches[l.file] = true
		for file := range l.reaches {
			outer.reaches[file] = true
		}
	}
}
