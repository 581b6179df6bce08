//go:build !race

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/lab/daemon"
	"github.com/eks-gitops/reconciler/lab/token"
)

func newTokenCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use: "token CLUSTER", Short: "Print an EKS token as kubectl's credential plugins do", Args: cobra.ExactArgs(1),
		Long: "token signs with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or with the lab's own key where they are not set.",
		RunE: func(command *cobra.Command, args []string) error {
			state, err := daemon.ReadState(*dir)
			if err != nil {
				return err
			}
			key := token.Key{ID: os.Getenv("AWS_ACCESS_KEY_ID"), Secret: os.Getenv("AWS_SECRET_ACCESS_KEY"), Session: os.Getenv("AWS_SESSION_TOKEN")}
			if key.ID == "" || key.Secret == "" {
				own := aws.DefaultKey()
				key = token.Key{ID: own.AccessKey, Secret: own.Secret}
			}
			now := time.Now()
			text, err := token.New(command.Context(), token.Request{Cluster: args[0], Region: state.Region, STS: state.Endpoint(), Key: key, Now: now})
			if err != nil {
				return err
			}
			if err := json.NewEncoder(command.OutOrStdout()).Encode(map[string]any{
				"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
				"status": map[string]any{"token": text, "expirationTimestamp": now.Add(token.Lifetime).UTC().Format(time.RFC3339)},
			}); err != nil {
				return fmt.Errorf("writing the token: %w", err)
			}
			return nil
		},
	}
}
