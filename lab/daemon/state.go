package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/lab/process"
)

// Names of files in the folder of a lab.
const (
	stateFile      = "lab.json"
	bundleFile     = "ca-bundle.pem"
	kubeconfigFile = "kubeconfig"
)

// State is what a lab writes about itself in its folder, for commands and for its own next start.
type State struct {
	PID        int       `json:"pid"`
	Port       int       `json:"port"`
	SecurePort int       `json:"securePort"`
	Speed      float64   `json:"speed"`
	Region     string    `json:"region"`
	Started    time.Time `json:"started"`
}

// Endpoint is the URL of the simulated AWS.
func (s State) Endpoint() string { return fmt.Sprintf("http://127.0.0.1:%d", s.Port) }

func (s State) write(dir string) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, stateFile)
	if err := os.WriteFile(path+".new", append(content, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// ReadState reads what the last lab in dir wrote; the error is fs.ErrNotExist if there was none.
func ReadState(dir string) (State, error) {
	var s State
	content, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err == nil {
		err = json.Unmarshal(content, &s)
	}
	if err != nil {
		return s, fmt.Errorf("reading the lab in %s: %w", dir, err)
	}
	return s, nil
}

// Running tells whether a daemon works in dir: whether somebody holds its lock. A process id alone would not tell, since ids are
// used again.
func Running(dir string) bool {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil
}

// Env are the variables that make any tool use a lab.
func Env(dir string, s State) (map[string]string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", dir, err)
	}
	key := aws.DefaultKey()
	return map[string]string{
		"AWS_ENDPOINT_URL": s.Endpoint(), "AWS_REGION": s.Region, "AWS_DEFAULT_REGION": s.Region,
		"AWS_ACCESS_KEY_ID": key.AccessKey, "AWS_SECRET_ACCESS_KEY": key.Secret,
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "",
		"SSL_CERT_FILE": filepath.Join(dir, bundleFile), "KUBECONFIG": filepath.Join(dir, kubeconfigFile),
	}, nil
}

// Status is what a running lab tells of itself.
type Status struct {
	State
	Endpoint string          `json:"endpoint"`
	Clusters []ClusterStatus `json:"clusters"`
}

// ClusterStatus is the control plane of one cluster.
type ClusterStatus struct {
	Name     string         `json:"name"`
	Ready    bool           `json:"ready"`
	Version  string         `json:"version,omitempty"`
	Endpoint string         `json:"endpoint,omitempty"`
	Nodes    int            `json:"nodes"`
	Error    string         `json:"error,omitempty"`
	PIDs     map[string]int `json:"pids,omitempty"`
	Memory   int            `json:"memoryMiB"` // resident set of its processes
}

const statusPath = "/_lab/status"

// Ask asks a running lab for its status.
func Ask(ctx context.Context, s State) (Status, error) {
	var status Status
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint()+statusPath, http.NoBody)
	if err != nil {
		return status, fmt.Errorf("asking the lab: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return status, fmt.Errorf("asking the lab: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return status, fmt.Errorf("reading the lab's answer: %w", err)
	}
	return status, nil
}

func (d *Daemon) serveStatus(w http.ResponseWriter, _ *http.Request) {
	out := Status{State: d.state, Endpoint: d.state.Endpoint(), Clusters: []ClusterStatus{}}
	for _, m := range d.fleet.list() {
		out.Clusters = append(out.Clusters, m.report())
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

func (m *member) report() ClusterStatus {
	status := m.status()
	out := ClusterStatus{Name: m.name, Ready: status.Ready, Version: status.Version, Endpoint: status.Endpoint}
	if status.Err != nil {
		out.Error = status.Err.Error()
	}
	if inside := m.inside(); inside != nil {
		out.Nodes, _ = inside.Count()
	}
	m.mu.Lock()
	plane := m.plane
	m.mu.Unlock()
	if plane != nil {
		out.PIDs = plane.PIDs()
		for _, pid := range out.PIDs {
			out.Memory += process.ResidentMiB(pid)
		}
	}
	return out
}
