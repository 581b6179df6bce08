package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/lab/story"
)

// call is a line of the simulator's log.
type call struct {
	Seq, Status                             int
	ReadOnly                                bool
	Service, Operation, Caller, Agent, Path string
	Input                                   json.RawMessage
}

// action is the IAM action that allows the call.
func (c call) action() string {
	return strings.ToLower(strings.ReplaceAll(c.Service, " ", "")) + ":" + c.Operation
}

// awsLog is the log after the call of a number; 0 means all of it.
func awsLog(t *testing.T, s *story.Story, since int) []call {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("%s/_sim/requests?since=%d", s.Lab.Var("AWS_ENDPOINT_URL"), since), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // only read
	var log []call
	if err := json.NewDecoder(response.Body).Decode(&log); err != nil {
		t.Fatal(err)
	}
	return log
}
