package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing/fstest"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render"
)

// Rows and peers of rendering.
const (
	rendering      = "render"
	rerendering    = "render after one file changed"
	kustomizeBuild = "kustomize build"
	oursAtThousand = "ours at 1,000 objects"
	oursCold       = "ours, cold"
)

// renders implements part: five objects to a file, all files listed in one kustomization that sets the namespace.
func renders(ctx context.Context, o options, dir string) ([]figure, error) {
	small, large := 1000*o.size/100, 5000*o.size/100
	took := map[string][]result{}
	for range min(3, o.runs) {
		for _, one := range []struct {
			key, act string
			count    int
		}{
			{"ours small", "render", small}, {"kustomize small", "kustomize build", small},
			{"ours large", "render", large}, {"kustomize large", "kustomize build", large}, {"again", "render again", large},
		} {
			folder := filepath.Join(dir, fmt.Sprintf("kustomization-%d", one.count))
			if err := kustomization(folder, one.count, space); err != nil {
				return nil, err
			}
			r, err := start(ctx, task{Act: one.act, Objects: folder})
			if err != nil {
				return nil, err
			}
			took[one.key] = append(took[one.key], r)
		}
	}
	return []figure{
		compared(rendering, small, took["ours small"], kustomizeBuild, took["kustomize small"]),
		compared(rendering, large, took["ours large"], kustomizeBuild, took["kustomize large"]),
		compared(rendering, large, took["ours large"], oursAtThousand, took["ours small"]),
		compared(rerendering, large, took["again"], oursCold, took["ours large"]),
	}, nil
}

// renderers do with a folder what a row is about; what they do before the function that they return is not timed.
func renderers() map[string]func(context.Context, string) (func() error, error) {
	return map[string]func(context.Context, string) (func() error, error){
		"render": renderOurs, "render again": renderAgain, "kustomize build": renderKustomize,
	}
}

const benchConfig = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: bench, region: eu-west-1}
`

// fleet is a repository of one cluster whose one overlay is the kustomization in dir, in memory, and how many objects it has.
func fleet(dir string) (fstest.MapFS, int, error) {
	files := fstest.MapFS{"clusters/bench/cluster.yaml": {Data: []byte(benchConfig)}}
	names, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, 0, err
	}
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			return nil, 0, err
		}
		files["clusters/bench/apps/"+filepath.Base(name)] = &fstest.MapFile{Data: body}
	}
	return files, perApp * (len(names) - 1), nil
}

func snapshot(files fs.FS, n int) gitops.Snapshot {
	return gitops.Snapshot{Revision: gitops.Revision{Hash: fmt.Sprintf("%040x", n)}, Files: files}
}

// once renders a snapshot, which has to yield so many objects.
func once(ctx context.Context, r *render.Renderer, s gitops.Snapshot, want int) error {
	clusters, err := r.Clusters(ctx, s)
	if err != nil {
		return err
	}
	d, err := r.Render(ctx, s, clusters[0], gitops.Facts{})
	if err != nil {
		return err
	}
	for _, p := range d.Problems {
		return p
	}
	if len(d.Items) != want {
		return fmt.Errorf("%d objects were rendered, want %d", len(d.Items), want)
	}
	return nil
}

func renderOurs(ctx context.Context, dir string) (func() error, error) {
	files, count, err := fleet(dir)
	return func() error { return once(ctx, render.New(render.Options{}), snapshot(files, 1), count) }, err
}

// renderAgain renders once; the task is to do so again after one file has changed.
func renderAgain(ctx context.Context, dir string) (func() error, error) {
	files, count, err := fleet(dir)
	if err != nil {
		return nil, err
	}
	r := render.New(render.Options{})
	if err := once(ctx, r, snapshot(files, 1), count); err != nil {
		return nil, err
	}
	next := maps.Clone(files)
	const moved = "clusters/bench/apps/app0.yaml"
	next[moved] = &fstest.MapFile{Data: bytes.Replace(files[moved].Data, []byte("mode: fast"), []byte("mode: slow"), 1)}
	return func() error { return once(ctx, r, snapshot(next, 2), count) }, nil
}

func renderKustomize(_ context.Context, dir string) (func() error, error) {
	return func() error {
		built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
		if err != nil {
			return err
		}
		_, err = built.AsYaml()
		return err
	}, nil
}
