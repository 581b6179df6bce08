//go:build !race

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/lab/daemon"
)

func newFaultCommand(dir *string) *cobra.Command {
	command := &cobra.Command{Use: "fault", Short: "Script faults of the simulated AWS"}
	var file string
	add := &cobra.Command{
		Use: "add KEY=VALUE... | add -f FILE", Short: "Add a rule, for example: service=eks operation=DescribeCluster effect=throttle count=3",
		RunE: func(command *cobra.Command, args []string) error {
			rule, err := readRule(args, file, command.InOrStdin())
			if err != nil {
				return err
			}
			return admin(command.Context(), *dir, http.MethodPost, "/_sim/faults", rule, command.OutOrStdout())
		},
	}
	add.Flags().StringVarP(&file, "file", "f", "", "read the rule as JSON from a file, or with - from standard input")
	command.AddCommand(
		add,
		&cobra.Command{
			Use: "list", Short: "List the rules with how often they fired", Args: cobra.NoArgs,
			RunE: func(command *cobra.Command, _ []string) error {
				return admin(command.Context(), *dir, http.MethodGet, "/_sim/faults", nil, command.OutOrStdout())
			},
		},
		&cobra.Command{
			Use: "clear [ID]", Short: "Remove one rule or all", Args: cobra.MaximumNArgs(1),
			RunE: func(command *cobra.Command, args []string) error {
				path := "/_sim/faults"
				if len(args) == 1 {
					path += "/" + args[0]
				}
				return admin(command.Context(), *dir, http.MethodDelete, path, nil, command.OutOrStdout())
			},
		},
	)
	return command
}

// readRule makes the JSON of a rule from KEY=VALUE words, a file, or standard input. The simulator checks it.
func readRule(args []string, file string, in io.Reader) ([]byte, error) {
	if file != "" {
		content, err := []byte(nil), error(nil)
		if file == "-" {
			content, err = io.ReadAll(in)
		} else {
			content, err = os.ReadFile(file)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the rule: %w", err)
		}
		return content, nil
	}
	if len(args) == 0 {
		return nil, errors.New("a rule is needed: KEY=VALUE... or -f FILE")
	}
	rule := map[string]any{}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not KEY=VALUE", arg)
		}
		rule[key] = value
		switch key {
		case "nth", "count", "probability", "status":
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", arg, err)
			}
			rule[key] = n
		}
	}
	return json.Marshal(rule)
}

// admin talks to the simulator's administration and prints what it answers.
func admin(ctx context.Context, dir, method, path string, body []byte, out io.Writer) error {
	state, err := daemon.ReadState(dir)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, state.Endpoint()+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking the lab: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking the lab: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("reading the lab's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the lab refuses: %s", bytes.TrimSpace(answer))
	}
	_, err = out.Write(answer)
	return err
}
