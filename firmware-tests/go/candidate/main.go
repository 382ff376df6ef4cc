// Command candidate takes part in a Lease election with client-go's own leader election: the rival
// that our election is tested against.
//
// It prints one JSON object per line on stdout: {"event":…,"time":…,"identity":…,"leader":…}, where event is
// started-leading, stopped-leading or new-leader, time is RFC 3339 with nanoseconds and leader stands
// only in new-leader. It stands again after losing. SIGTERM and SIGINT end it with exit code 0, after
// releasing the lease where -release-on-cancel is set.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

type options struct {
	kubeconfig, namespace, name, identity     string
	leaseDuration, renewDeadline, retryPeriod time.Duration
	releaseOnCancel                           bool
}

// event is one line of output.
type event struct {
	Event    string    `json:"event"`
	Time     time.Time `json:"time"`
	Identity string    `json:"identity"`
	Leader   string    `json:"leader,omitempty"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "candidate:", err)
		os.Exit(1)
	}
}

func run() error {
	opts, err := parse()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	elector, err := newElector(opts)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		elector.Run(ctx)
	}
	return nil
}

func parse() (options, error) {
	var opts options
	flag.StringVar(&opts.kubeconfig, "kubeconfig", "", "kubeconfig file; empty: in-cluster")
	flag.StringVar(&opts.namespace, "namespace", "kube-system", "namespace of the lease")
	flag.StringVar(&opts.name, "name", "plndr-cp-lock", "name of the lease")
	flag.StringVar(&opts.identity, "identity", "", "holder identity of this candidate; required")
	flag.DurationVar(&opts.leaseDuration, "lease-duration", 5*time.Second, "how long others wait before taking over")
	flag.DurationVar(&opts.renewDeadline, "renew-deadline", 3*time.Second, "how long the leader tries to renew before giving up")
	flag.DurationVar(&opts.retryPeriod, "retry-period", time.Second, "time between tries")
	flag.BoolVar(&opts.releaseOnCancel, "release-on-cancel", true, "release the lease when told to stop")
	flag.Parse()
	if opts.identity == "" {
		return opts, errors.New("-identity is missing: name this candidate")
	}
	return opts, nil
}

func newElector(opts options) (*leaderelection.LeaderElector, error) {
	config, err := clientcmd.BuildConfigFromFlags("", opts.kubeconfig)
	if err != nil {
		return nil, err
	}
	// The defaults (5 requests a second) would hide what a short retry period does.
	config.QPS, config.Burst = 1000, 1000
	config.Timeout = opts.renewDeadline
	config.ContentType = "application/json" // so that the model API server understands it too
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	report := reporter(opts.identity)
	return leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: opts.namespace, Name: opts.name},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: opts.identity},
		},
		LeaseDuration:   opts.leaseDuration,
		RenewDeadline:   opts.renewDeadline,
		RetryPeriod:     opts.retryPeriod,
		ReleaseOnCancel: opts.releaseOnCancel,
		Name:            opts.name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { report("started-leading", "") },
			OnStoppedLeading: func() { report("stopped-leading", "") },
			OnNewLeader:      func(leader string) { report("new-leader", leader) },
		},
	})
}

// reporter returns the function that prints events; callbacks run on several goroutines.
func reporter(identity string) func(name, leader string) {
	var lock sync.Mutex
	lines := json.NewEncoder(os.Stdout)
	return func(name, leader string) {
		lock.Lock()
		defer lock.Unlock()
		line := event{Event: name, Time: time.Now().UTC(), Identity: identity, Leader: leader}
		if err := lines.Encode(line); err != nil {
			fmt.Fprintln(os.Stderr, "candidate: cannot print an event:", err)
		}
	}
}
