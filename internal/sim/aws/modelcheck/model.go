package modelcheck

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// model is a service model as botocore ships it.
type model struct {
	Metadata struct {
		Protocol, APIVersion, EndpointPrefix, SigningName, TargetPrefix string
	}
	Operations map[string]*operation
	Shapes     map[string]*shape
	file       string
}

type operation struct {
	Name string
	HTTP struct {
		Method, RequestURI string
		ResponseCode       int
	}
	Input, Output *ref
	Errors        []ref
}

type ref struct {
	Shape         string
	LocationName  string
	Location      string
	QueryName     string
	ResultWrapper string
	Flattened     bool
}

type shape struct {
	Type       string
	Members    map[string]ref
	Required   []string
	Member     *ref
	Key, Value *ref
	Enum       []string
	Pattern    string
	Min, Max   *float64
	Flattened  bool
	Payload    string
	Exception  bool
	Error      *struct {
		Code           string
		HTTPStatusCode int
	}
}

// data is what is known. Models are read when they are first asked for, since EC2's alone is several megabytes.
type data struct {
	templates templates
	models    map[string]func() (*model, error) // by file
	right     sync.Map                          // digests of exchanges that nothing was wrong with
}

// files are the models of a signing name: two services may share one.
func files(signing string) []string {
	if signing == "elasticloadbalancing" {
		return []string{"elb", "elbv2"}
	}
	return []string{signing}
}

func known() []string {
	return []string{"autoscaling", "cloudformation", "cloudtrail", "ec2", "eks", "elb", "elbv2", "iam", "kms", "logs", "sqs", "ssm", "sts"}
}

// once holds the data for all tests of one binary: it never changes, and reading it takes longer than most tests.
var once = sync.OnceValue(open) //nolint:gochecknoglobals // see above

// open finds ../shared/aws-models beside the checkout that the test runs in; nil if there is none.
func open() *data {
	dir, ok := folder()
	if !ok {
		return nil
	}
	d := &data{templates: templates{dir: dir}, models: map[string]func() (*model, error){}}
	for _, name := range known() {
		d.models[name] = sync.OnceValues(func() (*model, error) { return read(filepath.Join(dir, name+".json")) })
	}
	return d
}

func folder() (string, bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		found := filepath.Join(dir, "..", "shared", "aws-models")
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			if _, err := os.Stat(found); err == nil {
				return found, true
			}
		}
		if filepath.Dir(dir) == dir {
			return "", false
		}
		dir = filepath.Dir(dir)
	}
}

// load gives the data; nil with a note in the log, or a failure in CI, if there is none.
func load(t testing.TB) *data {
	t.Helper()
	d := once()
	if d == nil {
		missing(t)
	}
	return d
}

// missing says that nothing is checked, since there is no data. In CI, where there always is, that is a failure: a check that does not run
// proves nothing.
func missing(t testing.TB) {
	t.Helper()
	const what = "NOT RUN: checks against AWS's models, since ../shared/aws-models is not beside the checkout"
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Log(what)
}

func read(path string) (*model, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading model: %w", err)
	}
	m := &model{file: strings.TrimSuffix(filepath.Base(path), ".json")}
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("reading model %s: %w", path, err)
	}
	return m, nil
}

// find picks the model of a service by signing name and, where two share it, API version. It is nil if there is none.
func (d *data) find(signing, version string) (*model, error) {
	for _, file := range files(signing) {
		get, ok := d.models[file]
		if !ok {
			continue
		}
		m, err := get()
		if err != nil {
			return nil, err
		}
		if len(files(signing)) == 1 || m.Metadata.APIVersion == version {
			return m, nil
		}
	}
	return nil, nil //nolint:nilnil // no model is no error
}
