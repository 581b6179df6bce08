package render

import (
	"errors"
	"io/fs"
	"path"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render/chart"
	"github.com/eks-gitops/reconciler/pkg/render/sops"
)

// chart reads the files of a chart's folder but values files that others name, links followed.
func (v *view) chart(folder string, values func(file string) bool) ([]chart.File, error) {
	var text []byte
	if _, err := v.stat(path.Join(folder, ".helmignore")); err == nil {
		if text, err = v.ReadFile(path.Join(folder, ".helmignore")); err != nil {
			return nil, unreadable(path.Join(folder, ".helmignore"), err)
		}
	}
	ignored, err := chart.Ignore(text)
	if err != nil {
		return nil, err
	}
	var out []chart.File
	var walk func(name string, depth int) error
	walk = func(name string, depth int) error {
		full := path.Join(folder, name)
		info, err := v.stat(full)
		switch {
		case err != nil:
			return unreadable(full, err)
		case name != "" && ignored(name, info):
			return nil
		case depth > maxDepth:
			return &fs.PathError{Op: "read", Path: full, Err: errors.New("it is nested too deeply")}
		case !info.IsDir() && info.Size() > chart.MaxFile():
			return &fs.PathError{Op: "read", Path: full, Err: errors.New("it is too large for a chart")}
		case !info.IsDir():
			body, err := v.chartFile(full, values)
			if body != nil {
				out = append(out, chart.File{Name: name, Data: body})
			}
			return err
		}
		names, err := v.ReadDir(full)
		if err != nil {
			return unreadable(full, err)
		}
		for _, n := range names {
			if err := walk(path.Join(name, n), depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return out, walk("", 0)
}

// chartFile reads a file of a chart; nil when it is an encrypted one with values.
func (v *view) chartFile(file string, values func(file string) bool) ([]byte, error) {
	v.ask(askRead, file)
	body, err := fs.ReadFile(v.files, file)
	if err != nil {
		return nil, unreadable(file, err)
	}
	f, failed := sops.Read(file, body)
	switch {
	case f == nil && failed == nil:
		return append([]byte{}, body...), nil
	case values(file):
		return nil, nil
	}
	e := problem(gitops.DecryptFailed, file, 0, "a file of a chart cannot be encrypted")
	e.Try = "put its values into a file that valuesFile or additionalValuesFiles names"
	return nil, e
}
