package chart

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	v2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/ignore"
)

// File is one file of a chart; Name is relative to the chart's folder.
type File struct {
	Name string
	Data []byte
}

// Chart is a chart and what it depends on. Rendering changes it: a Chart is rendered once.
type Chart struct{ chart *v2.Chart }

// Load makes a chart of the files of a folder.
func Load(files []File) (*Chart, error) {
	buffered := make([]*archive.BufferedFile, len(files))
	for i, f := range files {
		// A byte order mark is no part of a chart's text.
		buffered[i] = &archive.BufferedFile{Name: f.Name, Data: bytes.TrimPrefix(f.Data, []byte("\xef\xbb\xbf"))}
	}
	c, err := loader.LoadFiles(buffered)
	if err != nil {
		return nil, err
	}
	return &Chart{c}, nil
}

// Open makes a chart of an archive.
func Open(body []byte) (*Chart, error) {
	c, err := loader.LoadArchive(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return &Chart{c}, nil
}

// Name is the chart's own name; the paths of its manifests begin with it.
func (c *Chart) Name() string { return c.chart.Name() }

// Values is the text of the chart's values.yaml.
func (c *Chart) Values() []byte {
	for _, f := range c.chart.Raw {
		if f.Name == "values.yaml" {
			return f.Data
		}
	}
	return nil
}

// MaxFile is how large a file of a chart may be.
func MaxFile() int64 { return archive.MaxDecompressedFileSize }

// Ignore reads a .helmignore: which files and folders of a chart's folder are not part of it.
func Ignore(text []byte) (func(name string, info fs.FileInfo) bool, error) {
	rules, err := ignore.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("reading .helmignore: %w", err)
	}
	rules.AddDefaults()
	return func(name string, info fs.FileInfo) bool { return rules.Ignore(name, info) }, nil
}

// missing are the dependencies that Chart.yaml declares and charts/ does not hold.
func (c *Chart) missing() []string {
	have := map[string]bool{}
	for _, d := range c.chart.Dependencies() {
		have[d.Name()] = true
	}
	var out []string
	for _, d := range c.chart.Metadata.Dependencies {
		if !have[d.Name] {
			out = append(out, strings.TrimSpace(d.Name+" "+d.Version))
		}
	}
	return out
}
