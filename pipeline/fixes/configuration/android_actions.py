"""Actions of Android's own, and who is to be let through to what answers them.

Sources: the reference of `Intent`, `Manifest.permission` and the classes of the services named.
"""

MAIN = "android.intent.action.MAIN"
DEFAULT = "android.intent.category.DEFAULT"

_BROADCASTS = frozenset(
    f"android.{name}"
    for name in (
        "app.action.NEXT_ALARM_CLOCK_CHANGED",
        "app.action.SCHEDULE_EXACT_ALARM_PERMISSION_STATE_CHANGED",
        "appwidget.action.APPWIDGET_UPDATE",
        "intent.action.ACTION_POWER_CONNECTED",
        "intent.action.ACTION_POWER_DISCONNECTED",
        "intent.action.AIRPLANE_MODE",
        "intent.action.BATTERY_LOW",
        "intent.action.BATTERY_OKAY",
        "intent.action.BOOT_COMPLETED",
        "intent.action.DATE_CHANGED",
        "intent.action.LOCALE_CHANGED",
        "intent.action.LOCKED_BOOT_COMPLETED",
        "intent.action.MY_PACKAGE_REPLACED",
        "intent.action.PACKAGE_ADDED",
        "intent.action.PACKAGE_FULLY_REMOVED",
        "intent.action.PACKAGE_REMOVED",
        "intent.action.PACKAGE_REPLACED",
        "intent.action.TIMEZONE_CHANGED",
        "intent.action.TIME_SET",
        "intent.action.USER_PRESENT",
        "net.conn.CONNECTIVITY_CHANGE",
    )
)
"""Protected broadcasts: only the system sends them, and its own reach a receiver that is not
exported."""

DELIVERED_TO_PRIVATE = {
    "receiver": _BROADCASTS,
    "service": frozenset(
        ("com.google.firebase.MESSAGING_EVENT", "com.google.firebase.INSTANCE_ID_EVENT")
    ),
}
"""Kind of component -> actions that arrive although it is not exported."""

_BOUND = {
    "accessibilityservice.AccessibilityService": "ACCESSIBILITY_SERVICE",
    "net.VpnService": "VPN_SERVICE",
    "nfc.cardemulation.action.HOST_APDU_SERVICE": "NFC_SERVICE",
    "printservice.PrintService": "PRINT_SERVICE",
    "service.autofill.AutofillService": "AUTOFILL_SERVICE",
    "service.credentials.CredentialProviderService": "CREDENTIAL_PROVIDER_SERVICE",
    "service.dreams.DreamService": "DREAM_SERVICE",
    "service.notification.NotificationListenerService": "NOTIFICATION_LISTENER_SERVICE",
    "service.quicksettings.action.QS_TILE": "QUICK_SETTINGS_TILE",
    "service.voice.VoiceInteractionService": "VOICE_INTERACTION",
    "service.wallpaper.WallpaperService": "WALLPAPER",
    "telecom.ConnectionService": "TELECOM_CONNECTION_SERVICE",
    "telecom.InCallService": "INCALL_SERVICE",
    "view.InputMethod": "INPUT_METHOD",
    "view.textservice.SpellCheckerService": "TEXT_SERVICE",
}

GUARDS = {
    "service": {
        f"android.{action}": f"android.permission.BIND_{name}" for action, name in _BOUND.items()
    },
    "receiver": {
        "android.app.action.DEVICE_ADMIN_ENABLED": "android.permission.BIND_DEVICE_ADMIN",
        "android.provider.Telephony.SMS_DELIVER": "android.permission.BROADCAST_SMS",
        "android.provider.Telephony.SMS_RECEIVED": "android.permission.BROADCAST_SMS",
        "android.provider.Telephony.WAP_PUSH_DELIVER": "android.permission.BROADCAST_WAP_PUSH",
        "com.google.android.c2dm.intent.RECEIVE": "com.google.android.c2dm.permission.SEND",
    },
    "provider": {
        "android.content.action.DOCUMENTS_PROVIDER": "android.permission.MANAGE_DOCUMENTS",
    },
}
"""Kind of component -> action -> the permission that its caller, the system, holds."""
