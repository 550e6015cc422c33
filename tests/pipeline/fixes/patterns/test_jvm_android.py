"""Java and Kotlin: certificates of servers, and what Android apps let in."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

MENDED = [
    # rule, path, before, after; whole files
    (
        "insecure-hostname-verifier",
        "Http.kt",
        """\
fun client(): OkHttpClient =
    OkHttpClient.Builder()
        .hostnameVerifier { _, _ -> true }
        .build()

fun open(connection: HttpsURLConnection) {
    connection.hostnameVerifier = HostnameVerifier { _, _ -> true }
    connection.connect()
}
""",
        """\
fun client(): OkHttpClient =
    OkHttpClient.Builder()
        .build()

fun open(connection: HttpsURLConnection) {
    connection.connect()
}
""",
    ),
    (
        "insecure-hostname-verifier",
        "Http.java",
        """\
class Http {
    void all() {
        HttpsURLConnection.setDefaultHostnameVerifier((host, session) -> true);
    }

    CloseableHttpClient client() {
        return HttpClients.custom().setSSLHostnameVerifier(NoopHostnameVerifier.INSTANCE).build();
    }
}
""",
        """\
class Http {
    void all() {
    }

    CloseableHttpClient client() {
        return HttpClients.custom().build();
    }
}
""",
    ),
    (
        "insecure-trust-manager",
        "Http.java",
        """\
class Http {
    SSLContext context() throws GeneralSecurityException {
        TrustManager[] all = new TrustManager[] {
            new X509TrustManager() {
                public void checkClientTrusted(X509Certificate[] chain, String type) {}
                public void checkServerTrusted(X509Certificate[] chain, String type) {}
                public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; }
            }
        };
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, all, new SecureRandom());
        return context;
    }
}
""",
        """\
class Http {
    SSLContext context() throws GeneralSecurityException {
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, null, new SecureRandom());
        return context;
    }
}
""",
    ),
    (
        "android-webview-file-access",
        "Web.kt",
        """\
fun setUp(view: WebView) {
    view.settings.allowFileAccess = true
    view.settings.setAllowUniversalAccessFromFileURLs(true)
    view.settings.mixedContentMode = WebSettings.MIXED_CONTENT_ALWAYS_ALLOW
}
""",
        """\
fun setUp(view: WebView) {
    view.settings.allowFileAccess = false
    view.settings.setAllowUniversalAccessFromFileURLs(false)
    view.settings.mixedContentMode = WebSettings.MIXED_CONTENT_NEVER_ALLOW
}
""",
    ),
    (
        "webview-ssl-error-ignored",
        "Client.java",
        """\
class Client extends WebViewClient {
    @Override
    public void onReceivedSslError(WebView view, SslErrorHandler handler, SslError error) {
        handler.proceed();
    }
}
""",
        """\
class Client extends WebViewClient {
    @Override
    public void onReceivedSslError(WebView view, SslErrorHandler handler, SslError error) {
        handler.cancel();
    }
}
""",
    ),
    (
        "pending-intent-mutable",
        "Notify.kt",
        """\
fun later(context: Context, intent: Intent): PendingIntent =
    PendingIntent.getActivity(context, 0, intent, PendingIntent.FLAG_UPDATE_CURRENT)

fun now(context: Context, intent: Intent): PendingIntent =
    PendingIntent.getBroadcast(context, 0, intent, 0)
""",
        """\
fun later(context: Context, intent: Intent): PendingIntent =
    PendingIntent.getActivity(context, 0, intent, PendingIntent.FLAG_UPDATE_CURRENT or PendingIntent.FLAG_IMMUTABLE)

fun now(context: Context, intent: Intent): PendingIntent =
    PendingIntent.getBroadcast(context, 0, intent, PendingIntent.FLAG_IMMUTABLE)
""",
    ),
    (
        "world-readable-preferences",
        "Prefs.java",
        """\
class Prefs {
    SharedPreferences open(Context context) {
        return context.getSharedPreferences("a", Context.MODE_WORLD_READABLE);
    }
}
""",
        """\
class Prefs {
    SharedPreferences open(Context context) {
        return context.getSharedPreferences("a", Context.MODE_PRIVATE);
    }
}
""",
    ),
    (
        "weak-trust-manager",
        "Context.kt",
        """\
fun context(): SSLContext {
    val trustAll = object : X509TrustManager {
        override fun checkClientTrusted(chain: Array<X509Certificate>, type: String) = Unit
        override fun checkServerTrusted(chain: Array<X509Certificate>, type: String) = Unit
        override fun getAcceptedIssuers() = arrayOf<X509Certificate>()
    }
    val context = SSLContext.getInstance("TLSv1.3")
    context.init(null, arrayOf(trustAll), null)
    return context
}
""",
        """\
fun context(): SSLContext {
    val context = SSLContext.getInstance("TLSv1.3")
    context.init(null, null, null)
    return context
}
""",
    ),
]

LEFT = [
    (
        "webview-debugging",
        "Page.kt",
        """\
fun start() {
    if (BuildConfig.DEBUG) {
        WebView.setWebContentsDebuggingEnabled(true)
    }
}
""",
    ),
    (
        "webview-file-access",
        "Page.kt",
        """\
fun show(view: WebView) {
    view.settings.allowFileAccess = true
    view.loadUrl("file:///data/user/0/app/files/a.html")
}
""",
    ),
    (
        "pending-intent",
        "Reply.kt",
        """\
fun reply(context: Context, intent: Intent): PendingIntent {
    val input = RemoteInput.Builder("reply").build()
    return PendingIntent.getBroadcast(context, 0, intent, 0)
}
""",
    ),
    # what gets no fix: rule, path, text
    (
        "insecure-hostname-verifier",
        "A.kt",
        """\
fun client() = OkHttpClient.Builder()
    .hostnameVerifier { host, session -> host == "a.example" && known(session) }
    .build()
""",
    ),
    (
        "insecure-trust-manager",
        "A.kt",
        """\
fun context(managers: Array<TrustManager>) {
    context.init(null, managers, SecureRandom())
}
""",
    ),
    (
        "insecure-trust-manager",
        "A.kt",
        """\
fun client() {
    val all = arrayOf<TrustManager>(object : X509TrustManager {
        override fun checkClientTrusted(chain: Array<X509Certificate>, type: String) {}
        override fun checkServerTrusted(chain: Array<X509Certificate>, type: String) {}
        override fun getAcceptedIssuers() = arrayOf<X509Certificate>()
    })
    context.init(null, all, SecureRandom())
    builder.sslSocketFactory(context.socketFactory, all[0] as X509TrustManager)
}
""",
    ),
    (
        "pending-intent-mutable",
        "A.kt",
        """\
fun later(context: Context, intent: Intent, flags: Int) {
    PendingIntent.getActivity(context, 0, intent, PendingIntent.FLAG_MUTABLE)
    PendingIntent.getActivity(context, 0, intent, flags)
    PendingIntent.getActivity(context, 0, intent, PendingIntent.FLAG_IMMUTABLE)
}
""",
    ),
    (
        "webview-ssl-error",
        "A.kt",
        """\
override fun onReceivedSslError(view: WebView, handler: SslErrorHandler, error: SslError) {
    if (error.certificate == pinned) handler.proceed() else handler.cancel()
}
""",
    ),
]


@pytest.mark.parametrize(("rule", "path", "before", "after"), MENDED)
def test_weak_code_is_mended(mend: Mend, rule: str, path: str, before: str, after: str) -> None:
    """The edit ends the weakness, once, and nothing else changes."""
    assert mend(path, before, rule) == after


@pytest.mark.parametrize(("rule", "path", "text"), LEFT)
def test_what_is_right_or_unclear_stays(mend: Mend, rule: str, path: str, text: str) -> None:
    """Code without the weakness, or that only a guess could mend, gets no fix."""
    assert mend(path, text, rule) is None
