package depcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/eks-gitops/reconciler"

// pkg is what `go list` tells of a package.
type pkg struct {
	ImportPath string
	Name       string
	Dir        string
	GoFiles    []string
	Imports    []string
	Deps       []string
}

// list asks `go list` once for every package of the root module, without test files.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps=false", "-json=ImportPath,Name,Dir,GoFiles,Imports,Deps", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var packages []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 10 {
		t.Fatalf("go list found %d packages; the check would prove nothing", len(packages))
	}
	return packages
}

// rule says what of this module a package may import. An empty list means: nothing of it.
var rules = []struct {
	pkg   string
	may   []string
	std   bool // standard library only, besides may
	never []string
	why   string
}{
	{pkg: "pkg/gitops", std: true, never: []string{"context", "os", "net", "net/http", "log/slog"}, why: "the nouns depend on nothing"},
	{pkg: "pkg/plan", may: []string{"pkg/gitops"}, never: []string{"context", "os", "net", "net/http", "log", "log/slog"}, why: "the plan is pure"},
	{pkg: "pkg/run", may: []string{"pkg/gitops", "pkg/plan"}, std: true, never: []string{"context", "os", "net", "net/http", "log", "log/slog"}, why: "records are values"},
	{pkg: "pkg/source", may: []string{"pkg/gitops", "pkg/plan", "pkg/run"}, why: "adapters never know each other"},
	{pkg: "pkg/render", may: []string{"pkg/gitops", "pkg/plan", "pkg/run"}, why: "adapters never know each other"},
	{pkg: "pkg/apply", may: []string{"pkg/gitops", "pkg/plan", "pkg/run"}, why: "adapters never know each other"},
	{pkg: "pkg/eks", may: []string{"pkg/gitops", "pkg/plan", "pkg/run"}, why: "adapters never know each other"},
	{pkg: "pkg/ledger", may: []string{"pkg/gitops", "pkg/plan", "pkg/run"}, why: "adapters never know each other"},
	{pkg: "pkg/engine", may: []string{"pkg/gitops", "pkg/plan", "pkg/run"}, std: true, why: "the loop knows ports, not adapters"},
	{pkg: "pkg/view", may: []string{"pkg/gitops", "pkg/plan", "pkg/run"}, never: []string{"os", "net", "net/http"}, why: "values in, bytes out"},
}

// owners are the heavy dependencies and the one package tree that may import each.
var owners = map[string]string{
	"github.com/go-git/go-git/":       "pkg/source",
	"github.com/fsnotify/fsnotify":    "pkg/source",
	"sigs.k8s.io/kustomize/":          "pkg/render",
	"helm.sh/helm/":                   "pkg/render/chart",
	"oras.land/oras-go/":              "pkg/render/chart",
	"filippo.io/age":                  "pkg/render/sops",
	"k8s.io/client-go":                "pkg/apply",
	"github.com/fluxcd/cli-utils":     "pkg/apply",
	"github.com/google/cel-go/":       "pkg/apply",
	"github.com/itchyny/gojq":         "pkg/apply/jq",
	"github.com/weaveworks/eksctl":    "pkg/eks",
	"github.com/aws/aws-sdk-go-v2":    "pkg/eks",
	"github.com/awslabs/goformation/": "pkg/eks",
}

func TestImportRules(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, r := range rules {
			if path != r.pkg && !strings.HasPrefix(path, r.pkg+"/") {
				continue
			}
			for _, imp := range p.Imports {
				checkImport(t, path, imp, r.pkg, r.may, r.std, r.never, r.why)
			}
		}
	}
}

func checkImport(t *testing.T, path, imp, root string, may []string, std bool, never []string, why string) {
	t.Helper()
	if slices.Contains(never, imp) {
		t.Errorf("%s imports %s: %s", path, imp, why)
	}
	own, ours := strings.CutPrefix(imp, module+"/")
	switch {
	case ours && own != root && !strings.HasPrefix(own, root+"/") && !slices.Contains(may, own):
		t.Errorf("%s imports %s: %s; it may import %v", path, own, why, may)
	case !ours && std && strings.Contains(strings.SplitN(imp, "/", 2)[0], "."):
		t.Errorf("%s imports %s: %s; it may import the standard library only", path, imp, why)
	}
}

func TestHeavyDependenciesHaveOneOwner(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, imp := range p.Imports {
			for dep, owner := range owners {
				if !strings.HasPrefix(imp, dep) || path == owner || strings.HasPrefix(path, owner+"/") {
					continue
				}
				if strings.HasPrefix(path, "cmd/") || strings.HasPrefix(path, "internal/sim/") || strings.HasPrefix(path, "internal/labbin") {
					continue
				}
				t.Errorf("%s imports %s: that dependency belongs to %s", path, imp, owner)
			}
		}
	}
}

func TestSimulatorsStayOutOfTheProduct(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module+"/")
		if strings.HasPrefix(path, "internal/") {
			continue
		}
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, module+"/internal/sim") || strings.HasPrefix(dep, module+"/internal/labbin") {
				t.Errorf("%s depends on %s: simulators are for tests and the lab", path, dep)
			}
		}
	}
}

func TestEveryPackageHasOneDoc(t *testing.T) {
	for _, p := range list(t) {
		var docs []string
		for _, file := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil && strings.TrimSpace(f.Doc.Text()) != "" {
				docs = append(docs, file)
			}
		}
		if len(docs) != 1 {
			t.Errorf("%s has %d package docs %v, want exactly one", p.ImportPath, len(docs), docs)
		}
	}
}

// TestFileBudget counts lines of every Go file that a person writes, tests and nested modules included.
func TestFileBudget(t *testing.T) {
	const budget, testBudget = 400, 800
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); strings.HasPrefix(name, ".") && path != "../.." || name == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		limit := budget
		if strings.HasSuffix(path, "_test.go") {
			limit = testBudget
		}
		if lines := bytes.Count(body, []byte("\n")); lines > limit && !ast.IsGenerated(parseHead(t, path)) {
			t.Errorf("%s has %d lines, the budget is %d: split it by noun", path, lines, limit)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func parseHead(t *testing.T, path string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRootModuleHasNoReplace(t *testing.T) {
	body, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(strings.TrimSpace(line), "replace ") {
			t.Errorf("go.mod: %s: importers would not inherit it, so the product must not need it", strings.TrimSpace(line))
		}
	}
}

func TestMainIsSmall(t *testing.T) {
	body, err := os.ReadFile("../../cmd/reconciler/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(body, []byte("\n")); lines > 40 {
		t.Errorf("cmd/reconciler/main.go has %d lines, the budget is 40", lines)
	}
}
