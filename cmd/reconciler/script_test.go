package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/eks-gitops/reconciler/internal/labbin"
	simaws "github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

func TestMain(m *testing.M) {
	testscript.Main(planes{m}, map[string]func(){"reconciler": main})
}

// planes ends the control plane that a test may have started.
type planes struct{ *testing.M }

func (p planes) Run() int { return labbin.Main(p.M) }

// TestScripts runs the binary as people do. Nothing in these scripts reaches a cluster; the end-to-end tests of the lab do.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// An AWS in which there is nothing.
	empty, key := simtest.Start(t, simaws.Options{World: world.Options{Region: "eu-west-1"}}), simaws.DefaultKey()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("ROOT", root)
			// An AWS that refuses connections, and credentials that are none.
			e.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
			e.Setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
			e.Setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
			e.Setenv("AWS_REGION", "eu-west-1")
			e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			e.Setenv("AWS_MAX_ATTEMPTS", "1")
			e.Setenv("SIM_URL", empty.URL)
			e.Setenv("SIM_KEY", key.AccessKey)
			e.Setenv("SIM_SECRET", key.Secret)
			return copyFleet(root, e.WorkDir)
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// copyFleet puts the sample fleet into the script's folder.
func copyFleet(root, dir string) error {
	for _, part := range []string{"clusters", "addons", "apps"} {
		if err := os.CopyFS(filepath.Join(dir, "fleet", part), os.DirFS(filepath.Join(root, part))); err != nil {
			return err
		}
	}
	return nil
}
