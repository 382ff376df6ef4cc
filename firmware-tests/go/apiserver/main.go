// Command apiserver is the real kube-apiserver with its etcd inside, as one program for tests.
//
// etcd comes first, without fsync, on loopback; then the API server runs with the flags it is given
// (every kube-apiserver flag; --etcd-servers is set here). Nothing in it is meant to last.
//
// Environment:
//
//	ETCD_DATA_DIR     folder of etcd's data; required
//	ETCD_CLIENT_PORT  loopback port for clients; 0 or unset: a free one
//	ETCD_PEER_PORT    loopback port for peers;   0 or unset: a free one
//	STOP_WITH_STDIN   set: ends when its standard input does, so that it never outlives who started it
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const etcdStartTimeout = 30 * time.Second

func main() {
	if os.Getenv("STOP_WITH_STDIN") != "" {
		go stopWithStdin()
	}
	endpoint, err := startEtcd()
	if err != nil {
		fmt.Fprintln(os.Stderr, "apiserver: etcd did not start:", err)
		os.Exit(1)
	}
	command := app.NewAPIServerCommand()
	command.SetArgs(append([]string{"--etcd-servers=" + endpoint}, os.Args[1:]...))
	os.Exit(cli.Run(command))
}

func stopWithStdin() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// startEtcd brings up a single-member etcd and returns the URL its clients use.
func startEtcd() (string, error) {
	dir := os.Getenv("ETCD_DATA_DIR")
	if dir == "" {
		return "", errors.New("ETCD_DATA_DIR is not set: name a folder for its data")
	}
	client, err := loopback("ETCD_CLIENT_PORT")
	if err != nil {
		return "", err
	}
	peer, err := loopback("ETCD_PEER_PORT")
	if err != nil {
		return "", err
	}
	config := embed.NewConfig()
	config.Dir = dir
	config.UnsafeNoFsync = true
	config.LogLevel = "error"
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	// A test wants its first write at once, not after a second of election.
	config.TickMs, config.ElectionMs = 20, 200
	server, err := embed.StartEtcd(config)
	if err != nil {
		return "", err
	}
	select {
	case <-server.Server.ReadyNotify():
		return client.String(), nil
	case err := <-server.Err():
		return "", err
	case <-time.After(etcdStartTimeout):
		return "", fmt.Errorf("not ready after %s", etcdStartTimeout)
	}
}

// loopback gives the URL of a loopback port: the one that the variable names, or a free one.
func loopback(variable string) (url.URL, error) {
	port := 0
	if text := os.Getenv(variable); text != "" {
		number, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return url.URL{}, fmt.Errorf("%s is %q: a port from 0 to 65535 is wanted", variable, text)
		}
		port = int(number)
	}
	if port == 0 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return url.URL{}, err
		}
		port = listener.Addr().(*net.TCPAddr).Port
		if err := listener.Close(); err != nil {
			return url.URL{}, err
		}
	}
	return url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}, nil
}
