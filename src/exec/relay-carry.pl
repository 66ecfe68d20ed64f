# Carries bytes between descriptors. Goes before relay-connect.pl and relay-listen.pl.
use strict;
use warnings;
use Socket;
use Errno qw(EAGAIN EWOULDBLOCK EINTR);
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);
require IO;

# As poll(2) has them everywhere. IO::Poll itself is not on every box, but what it calls is.
my ($IN, $OUT, $BROKEN) = (1, 4, 8 | 16 | 32);
my $CHUNK = 65536;
$SIG{PIPE} = 'IGNORE';

# Waits for descriptors, and gives what happened to each.
sub ready {
  my ($timeout, %wanted) = @_;
  my @asked = %wanted;
  return () if IO::Poll::_poll($timeout, @asked) <= 0;
  return @asked;
}

sub later { return $!{EAGAIN} || $!{EWOULDBLOCK} || $!{EINTR} }

sub never_wait {
  for my $handle (@_) {
    fcntl($handle, F_SETFL, fcntl($handle, F_GETFL, 0) | O_NONBLOCK);
  }
}

# Copies from source to sink for each {source, sink, over} until all are over. over(total, whole) hears how many bytes
# went, and whether the source has ended; it passes an end on. One chunk is held for each way, so a slow sink slows its
# source. False if something broke.
sub carry {
  my @ways = @_;
  my $whole = 1;
  for my $way (@ways) {
    $way->{held} = '';
    $way->{total} = 0;
    never_wait($way->{source}, $way->{sink});
  }
  while (@ways) {
    my %wanted;
    for my $way (@ways) {
      my $held = length $way->{held};
      $wanted{fileno $way->{sink}} = $held ? $OUT : 0;
      $wanted{fileno $way->{source}} = $IN unless $held;
    }
    my %ready = ready(-1, %wanted) or next;
    my @still;
    for my $way (@ways) {
      my $state = step($way, \%ready);
      if ($state eq 'on') { push @still, $way; next }
      $whole = 0 if $state eq 'broke';
      $way->{over}->($way->{total}, $state eq 'end');
    }
    @ways = @still;
  }
  return $whole;
}

# One read and one write for a way, if they need not wait. Gives `on`, or when it is over `end` or `broke`.
sub step {
  my ($way, $ready) = @_;
  my ($source, $sink) = @$way{qw(source sink)};
  return 'broke' if ($ready->{fileno $sink} || 0) & $BROKEN;
  if ($way->{held} eq '' && $ready->{fileno $source}) {
    my $length = sysread $source, $way->{held}, $CHUNK;
    return later() ? 'on' : 'broke' if !defined $length;
    return 'end' if $length == 0;
  }
  if ($way->{held} ne '') {
    my $length = syswrite $sink, $way->{held};
    return later() ? 'on' : 'broke' if !defined $length;
    substr($way->{held}, 0, $length) = '';
    $way->{total} += $length;
  }
  return 'on';
}

sub say_to_host {
  my $text = join(' ', @_) . "\n";
  syswrite STDOUT, $text;
}

# Nobody shall wait for these to end because we have them.
sub let_go {
  for my $handle (@_) {
    open $handle, '+<', '/dev/null';
  }
}

# A second descriptor for the same thing, so that each way waits for its own.
sub dup_of {
  my ($handle) = @_;
  open my $copy, '+<&', $handle;
  return $copy;
}
