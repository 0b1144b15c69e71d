# The page of report() in a browser: nothing overflows at the width of a phone, a tablet and a desktop, no label is cut off, nothing is written to the
# console, nothing is fetched, and the first paint comes soon. Screenshots are kept in build/check for people to look at.
use strict;
use warnings;
use File::Path qw(make_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($browser) = grep { -x } map { my $name = $_; map { "$_/$name" } split /:/, $ENV{PATH} } qw(chromium chromium-browser google-chrome);
plan skip_all => 'no Chromium here, so nobody looks at the report page' if !$browser;

my $dir = $ENV{TESTDATADIR};
my $screens = "$ENV{TESTDIR}/screens";
make_path($dir, $screens);

# browse(OPTIONS, PAGE): what the browser prints
sub browse
{
	my (@options) = @_;
	my $out = '';
	my $err = '';
	IPC::Run::run([ $browser, qw(--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync),
			qw(--hide-scrollbars --enable-logging=stderr), "--user-data-dir=$dir/browser", @options ], '>', \$out, '2>', \$err, IPC::Run::timeout(300));
	# messages of pages, not those of the browser about its machine
	return ($out, join "\n", grep { /CONSOLE/ } split /\n/, $err);
}

# a browser that cannot run here says nothing about the page
my ($hello) = eval { browse('--dump-dom', 'data:text/html,<p>hello</p>') };
plan skip_all => 'Chromium does not run here, so nobody looks at the report page' if ($hello // '') !~ /hello/;

my $node = PostgreSQL::Test::Cluster->new('server');
$node->init;
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION crm_profile;
	CREATE TABLE client (id int PRIMARY KEY, town text, age int, status text);
	CREATE TABLE lead (id int PRIMARY KEY, town text, age int, status text);
	CREATE TABLE sale (client int, day date, total numeric(12,2));
	INSERT INTO client SELECT i, (ARRAY['Wien', 'Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch', 'Linz & Wels', '<i>Graz'])[1 + i % 4], 18 + i * 7 % 60,
		CASE WHEN i % 5 = 0 THEN 'married' ELSE 'single' END FROM generate_series(1, 2000) i;
	INSERT INTO lead SELECT i, (ARRAY['Wien', 'Linz & Wels'])[1 + i % 2], 18 + i * 11 % 60, CASE WHEN i % 3 = 0 THEN 'married' ELSE 'single' END FROM generate_series(1, 300) i;
	INSERT INTO sale SELECT c.id, date '2021-01-01' + (c.id * 7907 + n * n * 104729) % 1600, 1000 + (c.id * 37 + n * 101) % 90000 FROM client c, generate_series(1, 1 + c.id % 7 + CASE WHEN status = 'married' THEN 4 ELSE 0 END) n
		WHERE c.id % 17 > 0;
	SELECT crm_profile.create_source('shop', 'client', 'sale', order_customer => 'client', attributes => '{town,age,status}', prospects => 'lead', as_of => '2025-05-20');
	SELECT crm_profile.refresh('shop');});

# The page in frames of several widths, measured by a script
my $measure = <<'SCRIPT';
addEventListener('load', () => {
	const faults = [];
	for (const frame of document.querySelectorAll('iframe')) {
		const page = frame.contentDocument, wide = `${frame.title} ${frame.clientWidth}`;
		if (page.documentElement.scrollWidth > frame.clientWidth) faults.push(`${wide}: the page is ${page.documentElement.scrollWidth} wide`);
		if (page.querySelectorAll('section').length < 10) faults.push(`${wide}: ${page.querySelectorAll('section').length} sections`);
		for (const label of page.querySelectorAll('svg text')) {
			const box = label.getBoundingClientRect(), card = label.closest('section').getBoundingClientRect();
			if (box.left < card.left || box.right > card.right + 0.5) faults.push(`${wide}: "${label.textContent}" is cut off`);
			if (box.height < 7) faults.push(`${wide}: "${label.textContent}" is ${box.height} high`);
		}
		const channels = colour => colour.match(/[0-9.]+/g).slice(0, 3).map(Number);
		const light = rgb => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
		for (const label of page.querySelectorAll('svg rect.h + text')) {
			const box = label.previousElementSibling, opacity = Number(box.getAttribute('fill-opacity')), card = channels(frame.contentWindow.getComputedStyle(box.closest('section')).backgroundColor);
			const back = channels(frame.contentWindow.getComputedStyle(box).fill).map((v, i) => opacity * v + (1 - opacity) * card[i]), front = channels(frame.contentWindow.getComputedStyle(label).fill);
			const [low, high] = [light(back), light(front)].sort((a, b) => a - b);
			if ((high + 0.05) / (low + 0.05) < 4.5) faults.push(`${wide}: "${label.textContent}" on a shade of ${opacity} has a contrast of ${(high + 0.05) / (low + 0.05)}`);
		}
		const segments = page.querySelector('#segments table');
		if (segments.scrollWidth > segments.parentElement.clientWidth) faults.push(`${wide}: the table of segments is ${segments.scrollWidth} wide`);
		for (const head of page.querySelectorAll('table th')) {
			const range = page.createRange(), texts = page.createTreeWalker(head, NodeFilter.SHOW_TEXT);
			while (texts.nextNode()) for (const word of texts.currentNode.data.matchAll(/[\p{L}\p{N}]+/gu)) {
				range.setStart(texts.currentNode, word.index);
				range.setEnd(texts.currentNode, word.index + word[0].length);
				if (range.getClientRects().length > 1) faults.push(`${wide}: "${word[0]}" is broken`);
			}
		}
		for (const chart of page.querySelectorAll('svg')) if (!chart.getAttribute('aria-label')) faults.push('a drawing without a name');
		for (const table of page.querySelectorAll('table')) if (table.scrollWidth > table.parentElement.clientWidth && getComputedStyle(table.parentElement).overflowX !== 'auto') faults.push(`${wide}: a table runs over`);
	}
	const script = document.createElement('pre');
	script.id = 'found';
	script.textContent = `frames ${document.querySelectorAll('iframe').length}\n` + faults.join('\n');
	document.body.append(script);
});
SCRIPT

my $frames = '';
for my $language (qw(en de fr es it))
{
	my $page = $node->safe_psql('postgres', "SELECT crm_profile.report('shop', '$language')");
	append_to_file("$dir/report-$language.html", $page);
	cmp_ok(length $page, '<', 400_000, "$language: size");
	unlike($page, qr{https?://|\burl\(|<script|<link|\@import}, "$language: nothing is fetched, nothing runs");
	$page =~ s/&/&amp;/g;
	$page =~ s/"/&quot;/g;
	$frames .= qq{<iframe title="$language" srcdoc="$page" style="border:0;width:${_}px;height:900px"></iframe>} for 360, 800, 1400;
}
append_to_file("$dir/frames.html", "<!DOCTYPE html><meta charset=utf-8><body><script>$measure</script>$frames");
my ($out, $console) = browse('--window-size=1500,1000', '--virtual-time-budget=5000', '--dump-dom', "file://$dir/frames.html");
my ($found) = $out =~ m{<pre id="found">(.*?)</pre>}s;
is($found, "frames 15\n", 'in each language the page fits a phone, a tablet and a desk');
is($console, '', 'nothing is said on the console');

# first_paint(NAME, PAGE): milliseconds until something is seen
sub first_paint
{
	my ($name, $page) = @_;
	append_to_file("$dir/$name.html", $page
		  . q{<script>new PerformanceObserver(l => console.log('paint ' + l.getEntries()[0].startTime)).observe({ type: 'paint', buffered: true })</script>}) if !-e "$dir/$name.html";
	my (undef, $said) = browse('--window-size=1400,1000', "--screenshot=$dir/paint.png", "file://$dir/$name.html");
	return $said =~ m{paint ([0-9.]+)} ? $1 : undef;
}

# beside a page with one word, load by load, since a busy machine paints that late, too: the median of what the report takes longer
my (@alone, @longer);
for (1 .. 5)
{
	my $word = first_paint('word', '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"></head><body><p>word</p>');
	my $paint = first_paint('paint', slurp_file("$dir/report-en.html"));
	next if !defined $word || !defined $paint;
	push @alone, $paint;
	push @longer, $paint - $word;
}
is(scalar @alone, 5, 'the page is painted each time');
my ($alone, $longer) = map { (sort { $a <=> $b } @$_)[ $#$_ / 2 ] } \@alone, \@longer;
# where more processes want a processor than there are, all takes that many times as long
my ($waiting) = slurp_file('/proc/loadavg') =~ /^([0-9.]+)/;
my $processors = () = slurp_file('/proc/cpuinfo') =~ /^processor/mg;
my $times = $waiting > $processors ? $waiting / $processors : 1;
cmp_ok($longer, '<=', 300 * $times, 'first paint');
note "first paint after $alone ms, $longer ms after that of a page with one word: medians of ", scalar(@alone), "; $waiting processes on $processors processors";

# a window of the browser is never narrower than 500, so a phone is a frame
my ($phone) = $frames =~ m{(<iframe title="en".*?</iframe>)}s;
$phone =~ s/height:900px/height:16000px/;
append_to_file("$dir/phone.html", "<!DOCTYPE html><meta charset=utf-8><body style='margin:0'>$phone");
for my $look ([ 'desk', 'report-en', 1400, 5600 ], [ 'tablet', 'report-en', 800, 9000 ], [ 'phone', 'phone', 500, 16000 ], [ 'dark', 'report-en', 1400, 5600, '--blink-settings=preferredColorScheme=0' ])
{
	my ($name, $page, $width, $height, @options) = @$look;
	browse(@options, "--window-size=$width,$height", "--screenshot=$screens/$name.png", "file://$dir/$page.html");
	ok(-s "$screens/$name.png", "screenshot: $name");
}
browse("--print-to-pdf=$screens/print.pdf", "file://$dir/report-en.html");
ok(-s "$screens/print.pdf", 'printed');

done_testing();
