package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/cmd/apply"
	"k8s.io/kubectl/pkg/cmd/diff"
	"k8s.io/kubectl/pkg/cmd/util"
)

// command builds one of kubectl's commands; the factory has kubectl's own client settings.
type command func(util.Factory, genericiooptions.IOStreams) *cobra.Command

// fatal is how a command of kubectl ends when it does not end well.
type fatal struct {
	text string
	code int
}

// kubectl runs a command, and returns what it printed and its exit code.
func kubectl(ctx context.Context, a access, build command, args ...string) (out string, code int, err error) {
	// The settings of kubectl's main function.
	flags := genericclioptions.NewConfigFlags(true).WithDeprecatedPasswordFlag().WithDiscoveryBurst(300).WithDiscoveryQPS(50)
	flags.KubeConfig = &a.kubeconfig
	var stdout, stderr bytes.Buffer
	c := build(util.NewFactory(util.NewMatchVersionFlags(flags)), genericiooptions.IOStreams{In: strings.NewReader(""), Out: &stdout, ErrOut: &stderr})
	// The commands end the process; here, only themselves.
	util.BehaviorOnFatal(func(text string, code int) { panic(fatal{text, code}) })
	defer util.DefaultBehaviorOnFatal()
	defer func() {
		switch end := recover().(type) {
		case nil:
		case fatal:
			out, code = stdout.String(), end.code
			if end.text != "" {
				err = fmt.Errorf("kubectl: exit %d: %s%s", end.code, end.text, stderr.String())
			}
		default:
			panic(end)
		}
	}()
	c.SetArgs(args)
	err = c.ExecuteContext(ctx)
	return stdout.String(), 0, err
}

func kubectlApply(ctx context.Context, a access, s set) (int, error) {
	_, code, err := kubectl(ctx, a, func(f util.Factory, io genericiooptions.IOStreams) *cobra.Command {
		return apply.NewCmdApply("kubectl", f, io)
	}, "--server-side", "--force-conflicts", "-f", s.file)
	if err == nil && code != 0 {
		err = fmt.Errorf("kubectl apply: exit %d", code)
	}
	return unknown, err
}

// kubectlDiff counts the objects in the output of kubectl diff.
func kubectlDiff(concurrency int) act {
	return func(ctx context.Context, a access, s set) (int, error) {
		out, code, err := kubectl(ctx, a, diff.NewCmdDiff, "--server-side", "--force-conflicts", "--concurrency", fmt.Sprint(concurrency), "-f", s.file)
		if err == nil && code > 1 {
			err = fmt.Errorf("kubectl diff: exit %d", code)
		}
		return strings.Count("\n"+out, "\ndiff "), err
	}
}
